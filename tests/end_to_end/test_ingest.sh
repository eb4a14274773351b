#!/bin/bash
# test_ingest.sh - pictures and videos into a store, as a user does it.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1

if ! command -v ffmpeg >/dev/null; then
    skip_all "no ffmpeg program to make pictures and videos with"
fi

# still FILE COLOUR, video FILE SECONDS [FPS]: a test pattern with a running counter
still()
{
    mkdir -p "$(dirname "$1")"
    ffmpeg -v error -y -f lavfi -i "color=$2:s=1200x900" -frames:v 1 "$1" </dev/null
}

video()
{
    mkdir -p "$(dirname "$1")"
    ffmpeg -v error -y -f lavfi -i "testsrc=s=320x240:r=${3:-10}:d=$2" \
        -c:v libx264 -preset ultrafast -pix_fmt yuv420p "$1" </dev/null
}

sql()
{
    sqlite3 a.m4a1 "$1"
}

still scenes/kitchen/first_person.jpg red
still scenes/kitchen/side.png green
still scenes/kitchen/overhead.jpg blue
echo '{"tags": ["knife"], "licence": "CC0-1.0"}' >scenes/kitchen/scene.json
video scenes/lab/first_person.mp4 2
video scenes/lab/side.mkv 3 25
still scenes/lab/overhead.jpg white

check "a store" "$M4A1" init a.m4a1
check "scenes are ingested" "$M4A1" ingest a.m4a1 scenes --preview sheet.jpg
check_output "it says how many" '2 scenes: 2 added'
check_output "the legend names the columns" 'columns first_person, side, overhead'
check_output "the legend names the rows" '^ +2 lab'
check_equal "a contact sheet of two rows and three columns" \
    "$(ffprobe -v error -show_entries stream=width,height -of csv=p=0 sheet.jpg)" 940,428
check_equal "six views at one instant each" \
    "$(sql "SELECT count(*), group_concat(DISTINCT at_ms) FROM scene_frame")" '6|0,500'
check_equal "the longest side is the recipe's" \
    "$(sql "SELECT max(max(width_px, height_px)) FROM frame")" 768
check_equal "tags and licence are kept" \
    "$(sql "SELECT tags, licence FROM scene WHERE name = 'kitchen'")" '["knife"]|CC0-1.0'
sql "SELECT writefile('frame.jpg', bytes) FROM frame ORDER BY frame_id LIMIT 1" >/dev/null
check_equal "a frame's name is the hash of its bytes" \
    "$(sha256sum frame.jpg | cut -d' ' -f1)" "$(sql 'SELECT sha256 FROM frame ORDER BY frame_id LIMIT 1')"

before=$(sql .dump | sha256sum)
check "again" "$M4A1" ingest a.m4a1 scenes
check_output "it says that nothing was added" 'nothing was added'
check_equal "nothing was" "$(sql .dump | sha256sum)" "$before"
cp a.m4a1 again.m4a1
check "from inside the folder of one scene" \
    sh -c 'cd scenes/kitchen && "$M4A1" ingest ../../again.m4a1 .'
check_output "it is that scene" '1 scene: 1 unchanged'

# What the folder of a careless person looks like.
video bad/short/first_person.mp4 0.3
still bad/short/side.jpg gray
still bad/short/overhead.jpg gray
mkdir -p bad/mixed
head -c 3000 scenes/kitchen/overhead.jpg >bad/mixed/overhead.jpg
: >bad/mixed/side.jpg
still bad/mixed/frist_person.jpg gray
printf '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nscenes/lab/first_person.mp4\n' \
    >bad/mixed/first_person.mp4
still bad/good/first_person.jpg red
still bad/good/side.jpg green
still bad/good/overhead.jpg blue
check_status 3 "bad files are named and the rest goes on" "$M4A1" ingest a.m4a1 bad
check_output "an instant beyond the end" \
    'short/first_person.mp4: .*0.500 s lies beyond the end of the video, which lasts 0.300 s'
check_output "a truncated picture" 'mixed/overhead.jpg: refused: broken JPEG'
check_output "an empty file" 'mixed/side.jpg: refused: the file is empty'
check_output "a playlist is not followed" 'mixed/first_person.mp4: refused: neither'
check_output "a misspelt view" 'mixed/frist_person.jpg: .*did you mean first_person'
check_output "an incomplete scene" 'short: incomplete: 1 of 1 instants lack a view \(first_person\)'
check_output "the summary" '3 scenes: 2 added 1 refused \(1 incomplete\)'
check_equal "the good scene is there" \
    "$(sql "SELECT count(*) FROM scene_frame JOIN scene USING (scene_id) WHERE name = 'good'")" 3
check "the store stays sound" "$M4A1" check a.m4a1
check_status 3 "the same as JSON" "$M4A1" ingest a.m4a1 bad --json
check_output "with counts" '"files_refused": 4'

# A scene that sessions use never changes.
sql "INSERT INTO session (identity, scene_id, at_ms) SELECT 'x', scene_id, 0 FROM scene
     WHERE name = 'kitchen'"
still scenes/kitchen/overhead.jpg yellow
check_status 3 "a used scene is not replaced" "$M4A1" ingest a.m4a1 scenes
check_output "it is named" 'kitchen: refused: sessions use this scene, and overhead.jpg would'
still scenes/lab/overhead.jpg yellow
check_status 3 "another is" "$M4A1" ingest a.m4a1 scenes
check_output "and counted" '1 replaced 1 refused'

check_status 2 "a folder is needed" "$M4A1" ingest a.m4a1
check_status 1 "a folder that is not there" "$M4A1" ingest a.m4a1 nowhere
check_output "is named" 'nowhere'
check_status 1 "a store that is not there" "$M4A1" ingest none.m4a1 scenes

# The real views.
if [ -n "$SHARED" ] && [ -d "$SHARED/data/views" ]; then
    mkdir real
    cp -r "$SHARED/data/views" real/kitchen
    chmod -R u+w real
    ffmpeg -v error -y -loop 1 -i real/kitchen/side.jpg -t 2 -r 10 -vf scale=trunc\(iw/2\)*2:-2 \
        -c:v libx264 -preset ultrafast -pix_fmt yuv420p side.mp4 </dev/null
    mkdir real/film
    cp real/kitchen/first_person.jpg real/kitchen/overhead.jpg side.mp4 real/film
    check "three real kitchen views and a video of one" \
        sh -c '"$M4A1" init real.m4a1 && "$M4A1" ingest real.m4a1 real --preview real.jpg'
    check_equal "are two complete scenes with four frames" "$(sqlite3 real.m4a1 \
        'SELECT count(*), count(DISTINCT frame_id), count(DISTINCT scene_id) FROM scene_frame')" \
        '6|4|2'
else
    skip "three real kitchen views" "shared material is absent"
    skip "are two complete scenes with four frames" "shared material is absent"
fi

done_testing
