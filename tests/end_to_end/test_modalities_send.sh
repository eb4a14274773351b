#!/bin/bash
# test_modalities_send.sh - a recipe with views of four kinds, from files to answers: what is
# sent to each protocol, what is shown of it, and what is refused before anything is sent.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1
for program in ffmpeg sqlite3 jq; do
    command -v $program >/dev/null || skip_all "the $program program is not installed"
done

store=$WORK/a.m4a1
sql() { sqlite3 -batch -noheader "$store" "$1"; }
seen() { curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" | jq "$1"; }

mkdir -p scenes/lab
{
    ffmpeg -v error -y -f lavfi -i color=red:s=320x240 -frames:v 1 scenes/lab/side.png &&
        ffmpeg -v error -y -f lavfi -i testsrc=s=320x240:r=10:d=3 -c:v mpeg4 scenes/lab/clip.mp4 &&
        ffmpeg -v error -y -f lavfi -i sine=f=440:r=16000:d=2 -c:a pcm_s16le scenes/lab/mic.wav
} </dev/null || exit 1
printf 'temperature 21.5\nsays "open"\n' >scenes/lab/log.txt

# llms of all protocols; those of the first three listen.
protocols="openai-chat azure-openai gemini openai-responses anthropic ollama bedrock-converse"
# recipe ACCEPTS-OF-LISTENERS ACCEPTS-OF-OTHERS ACTIONS REST
recipe()
{
    local llms='' prices='' accepts=$1 protocol limit more
    for protocol in $protocols; do
        case $protocol in
        openai-chat | azure-openai) limit=max_completion_tokens more='' ;;
        openai-responses) limit=max_output_tokens more='' accepts="$2" ;;
        gemini) limit=maxOutputTokens more='' ;;
        anthropic) limit=max_tokens more='' ;;
        ollama) limit=num_predict more='"num_ctx": 16384,' ;;
        bedrock-converse) limit=maxTokens more='' ;;
        esac
        llms+="\"$protocol\": {\"role\": \"cloud\", \"protocol\": \"$protocol\", \"url\": \"http://127.0.0.1:1\",
            \"model\": \"sim-$protocol\", \"accepts\": $accepts, \"parameters\": {$more\"$limit\": 300}},"
        prices+="{\"llm\": \"$protocol\", \"from\": \"2026-01-01\", \"input_usd\": 1, \"output_usd\": 2, \"source\": \"none\"},"
    done
    cat <<END
{"m4a1_recipe": 1, "name": "kinds",
 "views": [{"name": "side", "kind": "image", "privacy": 1},
   {"name": "clip", "kind": "video", "privacy": 1, "clip": {"frames": 3, "every_s": 0.5}},
   {"name": "log", "kind": "text", "privacy": 0}, {"name": "mic", "kind": "audio", "privacy": 2}],
 "frames": {"audio_s": 1.5},
 "tasks": ["Query"], "prompts": [{"id": "p1", "task": "Query", "text": "What happens?"},
   {"id": "p2", "task": "Query", "text": "And then?"}],
 "system_prompt": "Be brief.", "actions": $3, $4, "llms": {${llms%,}}, "prices": [${prices%,}]}
END
}
hears='{"audio": 1}' others='{"image": 4}'
for protocol in $protocols; do
    third=
    case $protocol in openai-chat | azure-openai | gemini) third=', "mic"' ;; esac
    printf '{"scene": "lab", "prompts": ["p1", "p2"], "actions": [{"llm": "%s", "views": ["side", "log"%s]}, {"llm": "%s", "views": ["clip"]}]}\n' \
        "$protocol" "$third" "$protocol"
done >sessions.jsonl
scripted='"sessions": {"script": "sessions.jsonl"}'
recipe "$hears" "$others" '{"*": "all_subsets"}' "$scripted" >r.json

check "a recipe with four kinds of views" "$M4A1" init "$store" --recipe r.json
check "files of four kinds" "$M4A1" ingest "$store" scenes
check_equal "are stored as such" "$(sql "SELECT v.name, f.media_type FROM scene_frame s JOIN view v USING (view_id)
    JOIN frame f USING (frame_id) ORDER BY v.position, s.part" | tr '\n' ' ')" \
    "side|image/jpeg clip|image/jpeg clip|image/jpeg clip|image/jpeg log|text/plain mic|audio/wav "
check "a plan" "$M4A1" plan "$store"
start_simulator --recipe r.json --time-scale 0 || exit 1
sim=http://127.0.0.1:$SIM_PORT
check "is collected from all protocols" "$M4A1" collect "$store" --simulator "$sim" --quiet
check_equal "whole" "$(sql "SELECT count(*) || ' of ' || (SELECT count(*) FROM call) FROM answer")" "14 of 14"
check_equal "nothing was refused" "$(seen .requests.invalid)" 0
# Two turns each: one image, then with three frames of the clip; sound twice where it is heard.
check_equal "pictures that the server saw" "$(seen .requests.images)" "$((7 * (1 + 4)))"
check_equal "sounds" "$(seen .requests.sounds)" "$((3 * 2))"

for protocol in $protocols; do
    call=$(sql "SELECT max(call_id) FROM call JOIN llm USING (llm_id) WHERE name = '$protocol'")
    check "$protocol: the second turn" "$M4A1" show "$store" "$call"
    mic='' n_sounds=0
    case $protocol in openai-chat | azure-openai | gemini) mic=', mic' n_sounds=1 ;; esac
    # In the order of the request; Ollama's pictures stand behind the text.
    if [ "$protocol" = ollama ]; then
        check_output "$protocol: its views" "; sent: log, side, clip$"
    else
        check_output "$protocol: its views" "; sent: side, log$mic, clip$"
    fi
    check_equal "$protocol: pictures, sounds, labels, lines of the log" \
        "$(grep -c '^    \[image sha256:' "$TAP_OUT") $(grep -c '^    \[audio sha256:' "$TAP_OUT") $(
            grep -cE '^    (View (side|log|mic|clip, 3 frames, every 0\.5 s)|At (0|0\.5|1) s):$' "$TAP_OUT") $(
            grep -cE '^    (temperature 21\.5|says "open")$' "$TAP_OUT")" \
        "4 $n_sounds $((6 + n_sounds)) 2"
    check "$protocol: as a curl command" "$M4A1" show "$store" "$call" --curl
    if [ $n_sounds = 1 ]; then
        check_equal "$protocol: with the sound" "$(grep -o 'UklGR[A-Za-z0-9+/]*' "$TAP_OUT" | head -1 |
            head -c 64 | base64 -d 2>/dev/null | head -c 4)" RIFF
    else
        check_no_output "$protocol: without sound" 'UklGR'
    fi
done
check "coverage counts them" "$M4A1" stats coverage "$store"
check "and the store holds together" "$M4A1" check "$store"
check "it is exported" "$M4A1" export "$store" out --include-incomplete
check_equal "with the views of both turns" "$(jq -r '[.[].interactions[].image_index | length] | add' out/m4a1.json)" 41

# ---- what is refused, naming llm and view ----------------------------------------------
refused() # NAME REGEX ACCEPTS OTHERS ACTIONS REST
{
    recipe "$3" "$4" "$5" "$6" >bad.json
    rm -rf bad.m4a1*
    if ! "$M4A1" init bad.m4a1 --recipe bad.json >log 2>&1; then
        cp log "$TAP_OUT"
        check_output "$1: refused at once" "$2"
        return
    fi
    "$M4A1" ingest bad.m4a1 scenes >/dev/null 2>&1
    check_status 1 "$1" "$M4A1" plan bad.m4a1
    check_output "$1: says so" "$2"
    check_equal "$1: nothing is planned" "$(sqlite3 bad.m4a1 'SELECT count(*) FROM call')" 0
}
refused "a script that adds sound where it is not heard" \
    'line 1, turn 0: llm openai-chat accepts no audio, but action "side\+log\+mic" brings view mic' \
    '{"audio": 0}' "$others" '{"*": "all_subsets"}' "$scripted"
refused "more pictures than an llm takes, with those before" \
    'line 4, turn 1: llm openai-responses accepts 3 images, but action "clip", with earlier views, brings 4: side, clip \(3 frames\)' \
    "$hears" '{"image": 3}' '{"*": "all_subsets"}' "$scripted"
refused "a set that an llm cannot take" \
    'actions\.openai-chat\[1\]: expected at most 0 texts, as llm openai-chat accepts \(this set has 1: log\)' \
    '{"audio": 1, "text": 0}' "$others" \
    '{"*": "all_subsets", "openai-chat": ["", "log+mic"]}' "$scripted"
refused "a fixed action" \
    'llm anthropic accepts no videos, but action "clip" brings view clip' \
    "$hears" '{"video": 0}' '{"*": "all_subsets"}' \
    '"sessions": {"n": 2, "turns": [1, 2]}, "plan": {"behaviour": "fixed", "action": {"llm": "anthropic", "views": "clip"}}'

# A protocol that has no word for sound.
recipe "$hears" '{"image": 4, "audio": 1}' '{"*": "all_subsets"}' '"sessions": {"n": 2, "turns": [1, 2]}' >deaf.json
check_status 1 "a protocol without sound is refused" "$M4A1" init deaf.m4a1 --recipe deaf.json
check_output "naming llm and kind" 'llm "anthropic": the protocol anthropic carries no audio; set "accepts": \{"audio": 0\}'

# Limits that are lowered behind a plan are looked at again before anything is sent.
recipe '{"audio": 1, "image": 2}' '{"image": 2}' '{"*": "all_subsets"}' "$scripted" >less.json
{
    "$M4A1" init less.m4a1 --recipe r.json && "$M4A1" ingest less.m4a1 scenes &&
        "$M4A1" plan less.m4a1 && "$M4A1" init less.m4a1 --recipe less.json
} >/dev/null 2>&1
before=$(seen .requests.seen)
check_status 1 "a plan that asks for more than its llms accept now" "$M4A1" collect less.m4a1 --simulator "$sim"
check_output "names llm, call and views" \
    'llm gemini accepts 2 images, but call [0-9]+ brings 4: side, clip \(3 frames\)'
check_equal "and sends nothing" "$(seen .requests.seen)" "$before"

# The doctor's tiny call holds a picture and a second of silence where they are taken.
sed "s|http://127.0.0.1:1|$sim|" r.json >doctor.json
"$M4A1" doctor doctor.json --json >doctor.out 2>&1
check_equal "the doctor tells which llms heard it" \
    "$(jq -r '.findings[] | select(.topic == "call" and (.what | test("with an image and with a second of silence"))) | .llm' doctor.out |
        sort | tr '\n' ' ')" "azure-openai gemini openai-chat "
done_testing
