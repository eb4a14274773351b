#!/bin/bash
# test_associate.sh - CLIP associations of a store: computed once, resumed after a kill, beside
# those of other models; and embed, show --similar, import and stats.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
command -v jq >/dev/null || skip_all "jq is not installed"

cd "$WORK" || exit 1
TOOLS=$(dirname "$M4A1")/tests/tools
VALUES="SELECT turn_id, view_id, value FROM association WHERE model LIKE 'small-%' ORDER BY 1, 2"
VECTORS="SELECT kind, text, frame_id, hex(vector) FROM embedding ORDER BY 1, 2, 3"
one() { sqlite3 -readonly "$1" "$2"; }

"$TOOLS/make_clip" small && "$TOOLS/make_clip" other seed=9 && "$TOOLS/make_scenes" scenes 60 ||
    skip_all "the tools in $TOOLS are not built"
"$M4A1" init fresh.m4a1 --quiet >/dev/null
"$M4A1" ingest fresh.m4a1 scenes --quiet >/dev/null
"$M4A1" plan fresh.m4a1 --sessions 20 --fan-out 3 --quiet >/dev/null
turns=$(one fresh.m4a1 'SELECT count(*) FROM turn')

# ---- the pass ----
cp fresh.m4a1 a.m4a1
check "a first run computes" "$M4A1" associate a.m4a1 --clip small --quiet --json
cp "$TAP_OUT" first.json
check_equal "the prompts of the recipe" "$(jq .texts first.json)" 20
check_equal "every frame" "$(jq .frames first.json)" 180
check_equal "and a value for every turn and view" "$(jq .associations first.json)" $((3 * turns))
check "a second run" "$M4A1" associate a.m4a1 --clip small/ --json
check_equal "computes nothing" \
    "$(jq -c '[.texts, .frames, .associations, .values]' <(sed -n '/^{/,$p' "$TAP_OUT"))" \
    "[0,0,0,$((3 * turns))]"
check "nor does it say otherwise" "$M4A1" associate a.m4a1 --clip small
check_output "to people" 'nothing was computed'
check "the store is sound" "$M4A1" check a.m4a1 --quiet
check_equal "the value is the cosine of what embed gives" "$(
    text=$(one a.m4a1 "SELECT text FROM prompt JOIN turn USING (prompt_id) WHERE turn_id = 1")
    one a.m4a1 "SELECT writefile('frame.jpg', bytes) FROM frame JOIN scene_frame USING (frame_id)
        JOIN session USING (scene_id) JOIN turn USING (session_id)
        WHERE turn_id = 1 AND view_id = 2" >/dev/null
    value=$(one a.m4a1 "$VALUES" | awk -F'|' '$1 == 1 && $2 == 2 { print $3 }')
    "$M4A1" embed --clip small --text "$text" frame.jpg --json |
        jq --argjson value "$value" '.cosines[0][1] - $value | fabs < 2e-6'
)" true

check "another checkpoint" "$M4A1" associate a.m4a1 --clip other --threads 1 --quiet
check_equal "stands beside the first" \
    "$(one a.m4a1 "SELECT group_concat(n) FROM (SELECT count(*) AS n FROM association GROUP BY model)")" \
    "$((3 * turns)),$((3 * turns))"
check_equal "with other values" "$(one a.m4a1 "SELECT count(*) FROM association a JOIN association b
    USING (turn_id, view_id) WHERE a.model < b.model AND a.value = b.value")" 0
check "the first is still there" "$M4A1" associate a.m4a1 --clip small --quiet --json
check_output "whole" '"frames": 0,'
"$M4A1" export a.m4a1 last.json --include-incomplete --quiet
"$M4A1" export a.m4a1 small.json --include-incomplete --quiet \
    --association "$(one a.m4a1 "SELECT name FROM association_model WHERE name LIKE 'small-%'")"
other=$(one a.m4a1 "SELECT value FROM association WHERE model LIKE 'other-%' AND turn_id = 1 AND view_id = 1")
small=$(one a.m4a1 "SELECT value FROM association WHERE model LIKE 'small-%' AND turn_id = 1 AND view_id = 1")
near() { jq --argjson x "$1" '.[0].association_score[0][0] - $x | fabs < 1e-12' "$2"; }
check_equal "an export takes the model that came last" "$(near "$other" last.json)" true
check_equal "or the one that is named" "$(near "$small" small.json)" true

# ---- killed ----
"$M4A1" associate fresh.m4a1 --clip small --threads 1 --quiet >/dev/null 2>&1 # what a whole run gives
one fresh.m4a1 "$VALUES" >whole.txt
one fresh.m4a1 "$VECTORS" | sort >whole_vectors.txt
cut_short=0
for try in 1 2 3 4 5 6; do
    rm -f b.m4a1*
    "$M4A1" init b.m4a1 --quiet >/dev/null
    "$M4A1" ingest b.m4a1 scenes --quiet >/dev/null
    "$M4A1" plan b.m4a1 --sessions 20 --fan-out 3 --quiet >/dev/null
    "$M4A1" associate b.m4a1 --clip small --threads 1 --quiet >/dev/null 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null &&
        [ "$(one b.m4a1 "SELECT count(*) FROM embedding WHERE kind = 'image'" 2>/dev/null || echo 0)" -eq 0 ]; do
        :
    done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    n=$(one b.m4a1 "SELECT count(*) FROM embedding WHERE kind = 'image'")
    [ "$n" -gt 0 ] && [ "$n" -lt 180 ] && cut_short=1 && break
done
check_equal "a pass is killed half-way" "$cut_short" 1
note "after $n of 180 frames, at try $try"
check "what is there is sound" "$M4A1" check b.m4a1 --quiet
check "it goes on" "$M4A1" associate b.m4a1 --clip small --threads 1 --quiet --json
check_output "with the frames that are missing" "\"frames\": $((180 - n)),"
one b.m4a1 "$VALUES" >resumed.txt
one b.m4a1 "$VECTORS" | sort >resumed_vectors.txt
check "and ends with the same values" cmp whole.txt resumed.txt
check "and the same vectors" cmp whole_vectors.txt resumed_vectors.txt

rm -f c.m4a1*
"$M4A1" init c.m4a1 --quiet >/dev/null
"$M4A1" ingest c.m4a1 scenes --quiet >/dev/null
"$M4A1" associate c.m4a1 --clip small --threads 1 >out.txt 2>&1 &
pid=$!
wait_for 20 sh -c "sqlite3 -readonly c.m4a1 'SELECT 1 FROM embedding' | grep -q 1"
kill -INT $pid
wait $pid
got=$?
if [ "$got" -eq 0 ]; then
    skip "Ctrl-C ends it with 130" "it was done before the signal came"
else
    check_equal "Ctrl-C ends it with 130" "$got" 130
fi
check "and what is there is sound" "$M4A1" check c.m4a1 --quiet

# What the system sends a process that reads a mapped file behind its new end.
rm -f c.m4a1*
"$M4A1" init c.m4a1 --quiet >/dev/null
"$M4A1" ingest c.m4a1 scenes --quiet >/dev/null
"$M4A1" associate c.m4a1 --clip small --threads 1 --quiet >out.txt 2>&1 &
pid=$!
wait_for 20 sh -c "sqlite3 -readonly c.m4a1 'SELECT 1 FROM embedding' | grep -q 1"
kill -BUS $pid
wait $pid
got=$?
if [ "$got" -eq 0 ]; then
    skip "weights that are cut short under way are told" "it was done before the signal came"
else
    check_equal "weights that are cut short under way are told" "$got $(grep -c 'cut short while it was read' out.txt)" "1 1"
fi

# ---- what has none ----
cp a.m4a1 d.m4a1
sqlite3 d.m4a1 "PRAGMA foreign_keys = ON; DELETE FROM association; DELETE FROM embedding; DELETE FROM association_model;
    INSERT INTO view (position, name, kind, privacy) VALUES (3, 'notes', 'text', 1);
    INSERT INTO frame (sha256, media_type, width_px, height_px, bytes) VALUES ('t', 'text/plain', 0, 0, x'41');
    INSERT INTO frame (sha256, media_type, width_px, height_px, bytes) VALUES ('b', 'image/jpeg', 9, 9, x'ffd8ff');
    INSERT INTO scene_frame (scene_id, view_id, at_ms, frame_id, source)
        SELECT scene_id, 4, 0, (SELECT frame_id FROM frame WHERE sha256 = 't'), 't' FROM scene;
    UPDATE scene_frame SET frame_id = (SELECT frame_id FROM frame WHERE sha256 = 'b')
        WHERE view_id = 1 AND scene_id = (SELECT scene_id FROM session WHERE session_id = 1);
    UPDATE scene_frame SET frame_id = NULL
        WHERE view_id = 2 AND scene_id = (SELECT scene_id FROM session WHERE session_id = 1);"
check_status 3 "a broken frame leaves the rest to be done" "$M4A1" associate d.m4a1 --clip small --quiet
check_output "and is named" "frame [0-9]+: "
check_equal "a text has no association, nor has a missing or broken picture" \
    "$(one d.m4a1 "SELECT group_concat(view_id) FROM association WHERE turn_id = 1")" 3
check "such a store exports" "$M4A1" export d.m4a1 none.json --include-incomplete --quiet
check_equal "null, never 0" "$(jq -c '.[0].association_score[0] | map(. == null)' none.json)" \
    '[true,true,false,true]'
check "and reads its export" "$M4A1" stats association none.json --json
check_output "with as many values" "\"n\": $(one d.m4a1 'SELECT count(*) FROM association'),"

# ---- refusals ----
check_status 2 "--clip is asked for" "$M4A1" associate a.m4a1
check_output "by its name" 'clip DIR is missing'
check_status 2 "a precision that there is not" "$M4A1" associate a.m4a1 --clip small --precision fp8
check_status 2 "a folder without a name" "$M4A1" associate a.m4a1 --clip ""
check_output "is no folder either" 'clip DIR is missing'
check_status 1 "a folder that is no checkpoint" "$M4A1" associate a.m4a1 --clip scenes
check_output "is named" 'scenes'

# ---- import ----
cp fresh.m4a1 e.m4a1
identity=$(one e.m4a1 "SELECT identity FROM session WHERE session_id = 2")
printf 'session,turn,view,model,value\n1,0,side,"sig,lip",0.25\n1,0,overhead,"sig,lip",\n%s,0,0,"sig,lip",-0.5\r\n' \
    "$identity" >own.csv
check "associations computed elsewhere" "$M4A1" import e.m4a1 --associations own.csv --json
check_equal "are taken, but for the one that is none" \
    "$(jq -c '[.associations, .without_value, .models]' "$TAP_OUT")" '[2,1,1]'
check "again" "$M4A1" import e.m4a1 --associations own.csv
check_output "adds nothing" '0 associations of 0 new models; 2 were there already'
printf '{"session": 1, "turn": 0, "view": "side", "model": "other model", "value": 0.125}\n\n{"session": 1, "turn": 0, "view": 2, "model": "other model", "value": null}\n' >own.jsonl
check "JSON lines" "$M4A1" import e.m4a1 --associations own.jsonl
check_equal "give the same" "$(one e.m4a1 "SELECT group_concat(value) FROM association WHERE model IN ('sig,lip', 'other model')
    AND turn_id = 1 AND view_id = 2")" '0.125,0.25'
check "the store is sound" "$M4A1" check e.m4a1 --quiet
refused() # NAME LINES MESSAGE
{
    printf '%b' "$2" >bad.csv
    check_status 1 "$1" "$M4A1" import e.m4a1 --associations bad.csv
    check_output "is told by file and line" "$3"
}
head='session,turn,view,model,value\n'
refused "a session that is not there" "${head}1,0,side,x,0.1\n999,0,side,x,0.1\n" 'bad.csv:3: session .999.'
refused "a turn that is not there" "${head}1,77,side,x,0.1\n" 'bad.csv:2: session 1 has no turn 77'
refused "a view that is not there" "${head}1,0,nose,x,0.1\n" "bad.csv:2: the store has no view 'nose'"
refused "a value that is no cosine" "${head}1,0,side,x,1.5\n" 'bad.csv:2: value'
refused "another value of the same" "${head}1,0,side,\"sig,lip\",0.3\n" 'bad.csv:2: .*already'
refused "a column too few" "${head}1,0,side,x\n" 'bad.csv:2: there are fewer fields'
refused "an unknown column" "session,turn,view,model,cosine\n" "bad.csv:1: column 'cosine'"
refused "a model that the store computes" "${head}1,0,side,$(one e.m4a1 "SELECT name FROM association_model
    WHERE identity IS NOT NULL"),0.3\n" 'bad.csv:2: .*computes itself'
refused "a broken line of JSON" '{"session": 1, "turn": 0,\n' 'bad.csv: line 1:'
check_equal "and nothing of a refused file stays" "$(one e.m4a1 "SELECT count(*) FROM association_model WHERE name = 'x'")" 0

# ---- looking ----
check "stats association" "$M4A1" stats association a.m4a1
check_output "names the models, the last one first" '^other-[0-9a-f]{8} +clip +f32 +[0-9]+$'
check_output "tells that there are no gains yet" 'Nothing says whether association means anything'
check "of one model" "$M4A1" stats association a.m4a1 --model "$(one a.m4a1 "SELECT name FROM association_model LIMIT 1")" --json
check_output "by its name" '"model": "small-'
check_status 1 "of a model that is not there" "$M4A1" stats association a.m4a1 --model nosuch
check "show --similar" "$M4A1" show a.m4a1 --similar "a cutting board" --clip small --out near.jpg --frames 5
check_output "tells cosine, scene and view" '^ *-?0\.[0-9]{4} +scene_[0-9]+ +(first_person|side|overhead)'
check_equal "and makes a JPEG" "$(head -c 3 near.jpg | od -An -tx1 | tr -d ' ')" ffd8ff
check_status 2 "no JPEG by another name" "$M4A1" show a.m4a1 --similar x --clip small --out near.png
check_output "which says what to do" 'name it FILE.jpg'
"$M4A1" show a.m4a1 --similar "a cutting board" --clip small --json --frames 180 >near.json
check_equal "the nearest frame is first" \
    "$(jq '[.frames[].cosine] | . == (sort | reverse) and length == 180' near.json)" true
check_status 1 "a checkpoint that was never run here" "$M4A1" show fresh.m4a1 --similar x --clip other
check_output "is told what to do" 'm4a1 associate'
check_status 2 "neither a call nor a text" "$M4A1" show a.m4a1
check "status of a store without associations" "$M4A1" status c.m4a1

# ---- embed, against the original's figures ----
golden=$SHARED/golden/clip
if [ -z "$SHARED" ] || [ ! -d "$golden/tiny" ]; then
    skip "embed agrees with the original" "no shared material"
else
    jq -r '.texts[]' "$golden/embeddings/embeddings_golden.json" >texts.txt
    mapfile -t texts <texts.txt
    arguments=()
    for text in "${texts[@]}"; do arguments+=(--text "$text"); done
    mapfile -t files < <(jq -r '.images[]' "$golden/embeddings/embeddings_golden.json")
    check "embed takes many texts and files" \
        "$M4A1" embed --clip "$golden/tiny" "${arguments[@]}" "${files[@]/#/$golden/images/}" --json
    cp "$TAP_OUT" embed.json
    worst() { jq -n --slurpfile g "$golden/embeddings/embeddings_golden.json" --slurpfile e embed.json "$1"; }
    images_off=$(worst '[$e[0].inputs[12:][].embedding] as $x | [($x | flatten), ($g[0].image_embeds | flatten)] | transpose | map(.[0] - .[1] | fabs) | max')
    cosines_off=$(worst '[([$e[0].cosines[12:][][:12]] | flatten), ($g[0].cosine_image_x_text | flatten)] | transpose | map(.[0] - .[1] | fabs) | max')
    texts_off=$(worst '[([$e[0].inputs[:12][].embedding] | flatten), ($g[0].text_embeds | flatten)] | transpose | map(.[0] - .[1] | fabs) | max')
    note "largest differences: texts $texts_off, images $images_off, cosines $cosines_off"
    check_equal "texts agree to 2e-5" "$(jq -n "$texts_off <= 2e-5")" true
    check_equal "images agree to 2e-5" "$(jq -n "$images_off <= 2e-5")" true
    check_equal "cosines agree to 2e-6" "$(jq -n "$cosines_off <= 2e-6")" true
fi
cp -r small wild && python3 - wild/model.safetensors <<'PYTHON'
import json, struct, sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
n = struct.unpack("<Q", data[:8])[0]
begin, end = json.loads(data[8:8 + n])["text_projection.weight"]["data_offsets"]
data[8 + n + begin:8 + n + end] = struct.pack("<f", 3e38) * ((end - begin) // 4)
open(path, "wb").write(data)
PYTHON
check_status 1 "weights that overflow" "$M4A1" embed --clip wild --text one --text two
check_output "are told with the text" 'the embedding of "one" is not finite'
check_status 2 "embed wants something" "$M4A1" embed --clip small
check "embed for people" "$M4A1" embed --clip small --text one --text two
check_output "prints the cosine" '^ +2 +-?[01]\.[0-9]{6}$'
done_testing
