#!/bin/bash
# test_modalities.sh - clips, texts and sounds into a store, and pictures within the limits of
# a server, as a user does it.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1

command -v ffmpeg >/dev/null || skip_all "no ffmpeg program to make pictures, videos and sounds with"
command -v sqlite3 >/dev/null || skip_all "the sqlite3 program is not installed"
command -v jq >/dev/null || skip_all "the jq program is not installed"

sql() { sqlite3 -batch -noheader "$1" "$2"; }
make_media() { mkdir -p "$(dirname "${!#}")" && ffmpeg -v error -y "$@" </dev/null; }

# --- what a scene may hold ---

# recipe AT AUDIO CLIP: views of every kind
recipe()
{
    cat <<END
{"m4a1_recipe": 1, "name": "kinds",
 "views": [{"name": "side", "kind": "image", "privacy": 3},
           {"name": "film", "kind": "video", "privacy": 3, "clip": $3},
           {"name": "log", "kind": "text", "privacy": 1},
           {"name": "mic", "kind": "audio", "privacy": 2}],
 "frames": {"longest_side": 320, "at_s": $1, "audio_s": $2},
 "tasks": ["Query"], "prompts": [{"task": "Query", "text": "What is to be heard?"}],
 "sessions": {"n": 1, "turns": [1, 1]},
 "llms": {"ear": {"role": "cloud", "protocol": "openai-chat", "url": "http://127.0.0.1:1",
          "model": "sim-eye", "accepts": {"audio": 1}, "parameters": {"max_completion_tokens": 50}}},
 "prices": [{"llm": "ear", "from": "2026-01-01", "input_usd": 1, "output_usd": 1, "source": "none"}]}
END
}
recipe '[0, 2]' 1.5 '{"frames": 3, "every_s": 0.5}' >kinds.jsonc
make_media -f lavfi -i color=green:s=600x400 -frames:v 1 scenes/hall/side.png
make_media -f lavfi -i testsrc=s=320x240:r=10:d=4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p \
    scenes/hall/film.mp4
make_media -f lavfi -i sine=frequency=440:sample_rate=16000:duration=4 -c:a pcm_s16le \
    -fflags +bitexact scenes/hall/mic.wav
printf 't_s,door\n0,closed\n2,open\n' >scenes/hall/log.csv

check "a store with views of every kind" "$M4A1" init a.m4a1 --recipe kinds.jsonc
check "a scene with all of them" "$M4A1" ingest a.m4a1 scenes --preview sheet.jpg
check_output "two instants are two rows" '^ +1-2 hall$'
check_equal "rows by kind" "$(sql a.m4a1 "SELECT v.kind, count(*), count(DISTINCT at_ms), max(part)
    FROM scene_frame JOIN view v USING (view_id) GROUP BY v.view_id" | tr '\n' ' ')" \
    "image|2|2|0 video|6|2|2 text|2|2|0 audio|2|2|0 "
check_equal "sounds are of the length that was asked for" \
    "$(sql a.m4a1 "SELECT DISTINCT duration_ms, length(bytes) FROM frame WHERE media_type = 'audio/wav'")" \
    "1500|48044"
sql a.m4a1 "SELECT writefile('cut.wav', bytes) FROM frame JOIN scene_frame USING (frame_id)
    WHERE media_type = 'audio/wav' AND at_ms = 2000" >/dev/null
samples() { ffmpeg -v error "$@" -f s16le - </dev/null | sha256sum; }
check_equal "with the samples of that time" "$(samples -i cut.wav)" \
    "$(samples -i scenes/hall/mic.wav -af atrim=start_sample=32000:end_sample=56000)"
check_equal "a text is kept as it is" \
    "$(sql a.m4a1 "SELECT hex(bytes) FROM frame WHERE media_type = 'text/plain'")" \
    "$(od -An -tx1 -v scenes/hall/log.csv | tr -d ' \n' | tr a-f A-F)"
check "the store is sound" "$M4A1" check a.m4a1
before=$(sql a.m4a1 .dump | sha256sum)
check "again" "$M4A1" ingest a.m4a1 scenes
check_equal "nothing is added" "$(sql a.m4a1 .dump | sha256sum)" "$before"

recipe '[0, 2]' 1.5 '{"frames": 4, "every_s": 0.5}' >longer.jsonc
check "a longer clip" sh -c '"$M4A1" init a.m4a1 --recipe longer.jsonc && "$M4A1" ingest a.m4a1 scenes'
check_output "replaces the shorter one" '1 scene: 1 replaced'
recipe '[0, 2]' 1.5 '{"frames": 6, "every_s": 0.5}' >too_long.jsonc
check "one that is too long" "$M4A1" init a.m4a1 --recipe too_long.jsonc
check_status 3 "is told" "$M4A1" ingest a.m4a1 scenes
check_output "with the instant and the length" \
    'hall/film.mp4: refused: a clip of 6 frames, 0.500 s apart: the instant 4.000 s lies beyond .*lasts 4.000 s'
recipe '[0, 2]' 1.5 '{"frames": 17}' >wrong.jsonc
check_status 1 "too many frames" "$M4A1" init b.m4a1 --recipe wrong.jsonc
check_output "are told with their place" 'wrong.jsonc:3: views\[1\].clip.frames: expected'

# What a careless person has.
mkdir -p bad/a bad/b bad/c
head -c 5000 scenes/hall/mic.wav >bad/a/mic.wav
printf 'caf\351\n' >bad/a/log.txt
cp scenes/hall/mic.wav bad/b/film.mp4
cp scenes/hall/side.png bad/b/log.txt
make_media -i scenes/hall/mic.wav -c:a pcm_f32le bad/b/mic.wav
head -c 100000000 /dev/zero | tr '\0' x >bad/c/log.txt
printf 'RIFF\44\0\0\0WAVEfmt \20\0\0\0\1\0\1\0\100\37\0\0\200\76\0\0\2\0\20\0data\0\0\0\0' >bad/c/mic.wav
cp scenes/hall/log.csv bad/c/film.mp4
before=$(sql a.m4a1 .dump | sha256sum)
check_status 3 "bad files are named" "$M4A1" ingest a.m4a1 bad
check_output "a truncated sound" 'a/mic.wav: refused: truncated WAV: its header says .* it has 5000'
check_output "a text in Latin-1" 'a/log.txt: refused: the text is not valid UTF-8 at byte offset 3'
check_output "a sound as a video" 'b/film.mp4: refused: the file is a WAV sound, and the view is of kind video'
check_output "a picture as a text" 'b/log.txt: refused: the file is a picture, and the view is of kind text'
check_output "a sound of another coding" 'b/mic.wav: refused: the sound is floating point of 32 bits.*ffmpeg'
check_output "a text of 100 MB" 'c/log.txt: refused: the text has 100000000 bytes; a text view holds at most 65536'
check_output "a sound without samples" 'c/mic.wav: refused: the sound is empty'
check_output "a text as a video" 'c/film.mp4: refused: neither a JPEG'
check_equal "and nothing is stored" "$(sql a.m4a1 .dump | sha256sum)" "$before"

# --- limits of pictures ---

# limits ACCEPTS: two pictures, one llm
limits()
{
    cat <<END
{"m4a1_recipe": 1, "name": "limits",
 "views": [{"name": "side", "kind": "image", "privacy": 3}, {"name": "front", "kind": "image", "privacy": 2}],
 "frames": {"longest_side": 0},
 "tasks": ["Query"], "prompts": [{"task": "Query", "text": "What is this?"}],
 "sessions": {"n": 4, "turns": [1, 1]},
 "llms": {"eye": {"role": "cloud", "protocol": "openai-chat", "url": "http://127.0.0.1:1",
          "model": "sim-eye", "accepts": $1, "parameters": {"max_completion_tokens": 50}}},
 "prices": [{"llm": "eye", "from": "2026-01-01", "input_usd": 1, "output_usd": 1, "source": "none"}],
 "actions": {"eye": ["side+front"]}}
END
}
make_media -f lavfi -i testsrc=s=1000x500 -frames:v 1 pictures/desk/side.png
make_media -f lavfi -i testsrc=s=200x100 -frames:v 1 pictures/desk/front.png

# begin STORE ACCEPTS
begin()
{
    limits "$2" >"$1.jsonc"
    "$M4A1" init "$1" --recipe "$1.jsonc" && "$M4A1" ingest "$1" pictures && "$M4A1" plan "$1"
}
check_status 1 "a plan with pictures that are too large" begin plan.m4a1 '{"image_px": 256}'
check_output "is refused" 'nothing was planned: llm eye takes pictures of at most 256 px, but view side of scene desk'
check_equal "so nothing is written" "$(sql plan.m4a1 'SELECT count(*) FROM call')" 0
limits '{"image_px": 256, "too_large": "resize"}' >resize.jsonc
check "and the llm may still be changed" "$M4A1" init plan.m4a1 --recipe resize.jsonc
check "then it is planned" "$M4A1" plan plan.m4a1
check "an llm that takes large pictures" begin refuse.m4a1 '{"image_px": 2000}'
limits '{"image_px": 256}' >refuse.jsonc
check "and then no more" "$M4A1" init refuse.m4a1 --recipe refuse.jsonc
check "one that gets smaller ones" begin resize.m4a1 '{"image_px": 256, "image_bytes": 9000, "too_large": "resize"}'

start_simulator --time-scale 0 --recipe resize.m4a1.jsonc || exit 1
sim=http://127.0.0.1:$SIM_PORT
seen() { curl -sS --noproxy '*' "$sim/simulator/stats" | jq .requests.seen; }
check_status 1 "a picture that is too large" "$M4A1" collect refuse.m4a1 --simulator "$sim"
check_output "is told with llm, view, scene, size, limit and what to do" \
    'nothing was sent: llm eye takes pictures of at most 256 px, but view side of scene desk at 0 s has 1000 x 500 px .*"too_large": "resize"'
check_equal "and nothing is sent" "$(seen)" 0
check_equal "or stored" "$(sql refuse.m4a1 'SELECT (SELECT count(*) FROM attempt), (SELECT count(*) FROM frame)')" '0|2'

check "pictures are made smaller" "$M4A1" collect resize.m4a1 --simulator "$sim"
check_equal "once" "$(sql resize.m4a1 "SELECT count(*), r.width_px, r.height_px, length(r.bytes) <= 9000
    FROM frame_fit x JOIN frame r ON r.frame_id = x.fitted_id JOIN frame o ON o.frame_id = x.frame_id
    WHERE o.width_px = 1000")" '1|256|128|1'
check_equal "every call is answered" "$(sql resize.m4a1 'SELECT count(*) FROM answer')" 4
check "a call" "$M4A1" show resize.m4a1 1 --json
sha=$(sql resize.m4a1 'SELECT sha256 FROM frame JOIN frame_fit ON fitted_id = frame.frame_id')
small=$(sql resize.m4a1 "SELECT sha256 FROM frame WHERE width_px = 200")
check_equal "says which views were sent" "$(jq -c '.attempts[0].views_sent' "$TAP_OUT")" '["side","front"]'
check "the same as a command" "$M4A1" show resize.m4a1 1 --curl
grep -o 'data:image/jpeg;base64,[A-Za-z0-9+/=]*' "$TAP_OUT" | sed 's/.*,//' | while read -r picture; do
    base64 -d <<<"$picture" | sha256sum | cut -d' ' -f1
done >sent
check_equal "holds the smaller picture, and the other as it is" "$(tr '\n' ' ' <sent)" "$sha $small "
check "the store is sound" "$M4A1" check resize.m4a1
check "collected again" "$M4A1" collect resize.m4a1 --simulator "$sim"
check_equal "nothing more is sent" "$(seen)" 4

# Raising a limit changes no answer, so it is a setting; resizing is not.
limits '{"image_px": 2000}' >refuse.jsonc
check "a limit is raised" "$M4A1" init refuse.m4a1 --recipe refuse.jsonc
check "then the pictures go as they are" "$M4A1" collect refuse.m4a1 --simulator "$sim"
check_equal "and none is made smaller" "$(sql refuse.m4a1 'SELECT count(*) FROM frame_fit')" 0
limits '{"image_px": 256, "too_large": "resize"}' >refuse.jsonc
check_status 1 "another way with large pictures" "$M4A1" init refuse.m4a1 --recipe refuse.jsonc
check_output "wants another name" 'llm eye: calls are planned for it as it was.*a new name'

done_testing
