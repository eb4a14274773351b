#!/bin/bash
# test_show.sh - one call as a person and as a program see it.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1
command -v sqlite3 >/dev/null || skip_all "the sqlite3 program is not installed"
command -v python3 >/dev/null || skip_all "python3 is not installed"

store=$WORK/a.m4a1
sql() { sqlite3 -batch -noheader "$store" "$1"; }
# value EXPRESSION: of the JSON document d that was printed last.
value() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$TAP_OUT" "$1"; }

"$M4A1" init --print-recipe | sed 's/"images": "keep"/"images": "drop"/' >drop.jsonc
{
    "$M4A1" init "$store" --recipe drop.jsonc && "$M4A1" demo --scenes scenes &&
        "$M4A1" ingest "$store" scenes && "$M4A1" plan "$store" --sessions 12 --fan-out 1
} >/dev/null 2>&1 || exit 1

# A call of the first turn, before it is sent and after the server could not be reached.
first=$(sql "SELECT min(call_id) FROM call WHERE purpose = 'path'")
check "a call that is only planned" "$M4A1" show "$store" "$first"
check_output "says so" '^It was not sent yet'
cp "$store" down.m4a1
check_status 3 "no server is there" timeout 60 "$M4A1" collect down.m4a1 --simulator http://127.0.0.1:1 --quiet
failed=$(sqlite3 down.m4a1 "SELECT min(call_id) FROM attempt WHERE http_status IS NULL")
check "a failed attempt" "$M4A1" show down.m4a1 "$failed"
check_output "has no HTTP status" '^ *1 +[0-9TZ:-]+ +connect +- '

start_simulator --time-scale 0 || exit 1
sim=http://127.0.0.1:$SIM_PORT
"$M4A1" collect "$store" --simulator "$sim" --quiet >/dev/null 2>&1 || exit 1
"$M4A1" annotate "$store" --simulator "$sim" --quiet >/dev/null 2>&1 || exit 1

# An answer that would rename the window, hide itself and clear the screen.
cp "$store" rude.m4a1
sqlite3 rude.m4a1 "DROP TRIGGER response_is_append_only; UPDATE response SET text =
    'x' || char(27) || ']0;pwn' || char(7) || char(155) || '2Jé'"
check "a rude answer into a file" "$M4A1" show rude.m4a1 "$first"
check_equal "is as it came" "$(grep -cF $'x\e]0;pwn\a\xc2\x9b2J\xc3\xa9' "$TAP_OUT")" 1
if command -v script >/dev/null; then
    script -qec "'$M4A1' show rude.m4a1 $first" /dev/null >terminal.txt </dev/null
    check "on a terminal it can be seen" grep -qF 'x^[]0;pwn^G<9b>2Jé' terminal.txt
    check_equal "and does nothing" "$(grep -c $'\e' terminal.txt)" 0
    sed $'s/"name": "[^"]*"/"nam\\\\u001be": "x"/' drop.jsonc >rude.jsonc
    script -qec "'$M4A1' init rude2.m4a1 --recipe rude.jsonc" /dev/null >terminal.txt </dev/null
    check_equal "nor does the name of a key in a message" "$(grep -c $'\e' terminal.txt)" 0
fi

tokens=$(sql "SELECT input_tokens FROM answer WHERE call_id = $first")
check "an answered call" "$M4A1" show "$store" "$first"
check_output "with its input tokens" "^Tokens: $tokens input,"
check_output "it was chosen" '^Chosen with probability'
check_equal "scores have four digits" \
    "$(grep -cE '^Score ratio \(1:judge\): [0-9]+(\.[0-9]{1,3})?$' "$TAP_OUT")" 1
check "as JSON" "$M4A1" show "$store" "$first" --json
check_equal "tokens are a number" "$(value 'd["answer"]["input_tokens"]')" "$tokens"

fan_out=$(sql "SELECT call_id FROM call WHERE purpose = 'fan_out' AND views_added = 5 LIMIT 1")
[ -n "$fan_out" ] || fan_out=$(sql "SELECT min(call_id) FROM call WHERE purpose = 'fan_out'")
check "a fan-out" "$M4A1" show "$store" "$fan_out"
check_output "was included, not chosen" '^Included with probability'
check_no_output "only that" '^Chosen'

two=$(sql "SELECT call_id FROM call WHERE views_added = 5 AND purpose IN ('path', 'fan_out') LIMIT 1")
check "views as JSON" "$M4A1" show "$store" "$two" --json
check_equal "are a list" "$(value 'd["views_added"]')" "['first_person', 'overhead']"
check_equal "and so are those that were sent" "$(value 'd["attempts"][0]["views_sent"]')" "['first_person', 'overhead']"
check "none of them" "$M4A1" show "$store" \
    "$(sql "SELECT min(call_id) FROM call WHERE views_context = 0")" --json
check_equal "are an empty list" "$(value 'd["views_added"], d["views_context"]')" "([], [])"

# With history.images "drop", a later turn holds views that its request does not show.
later=$(sql "SELECT call_id FROM call WHERE purpose = 'path' AND views_added = 0 AND views_context <> 0 LIMIT 1")
check "a later turn" "$M4A1" show "$store" "$later"
check_output "says what was sent" '^Views: .*adds none; in context: [a-z_, ]+; sent: none$'

judge=$(sql "SELECT min(call_id) FROM call WHERE purpose = 'judge'")
subject=$(sql "SELECT c.call_id || ' (' || c.purpose || ', ' || l.name || ')' FROM call j JOIN call c
    ON c.call_id = j.subject_id JOIN llm l ON l.llm_id = c.llm_id WHERE j.call_id = $judge")
check "a judgement" "$M4A1" show "$store" "$judge"
check_equal "says which call it judges" "$(grep '^Judges:' "$TAP_OUT")" "Judges: call $subject"
check_equal "and asks its question once" "$(grep -c 'You compare two answers' "$TAP_OUT")" 1

# Whatever the protocol: the same two pictures, the same words.
sessions='{"scene": "kitchen_01", "prompts": ["p1", "p2"], "actions": ['
llms='' prices='' : >sessions.jsonl
while read -r protocol limit more; do
    llms+="${llms:+, }\"$protocol\": {\"role\": \"cloud\", \"protocol\": \"$protocol\", \"url\": \"http://127.0.0.1:1\",
        \"model\": \"sim-$protocol\", \"parameters\": {$more\"$limit\": 300}}"
    prices+="${prices:+, }{\"llm\": \"$protocol\", \"from\": \"2026-01-01\", \"input_usd\": 1, \"output_usd\": 2, \"source\": \"none\"}"
    for views in '"side", "overhead"' '"first_person"'; do
        sessions+="{\"llm\": \"$protocol\", \"views\": [$views]}, "
    done
    printf '%s]}\n' "${sessions%, }" >>sessions.jsonl
    sessions=${sessions%%actions*}'actions": ['
done <<'END'
openai-chat max_completion_tokens
azure-openai max_completion_tokens
openai-responses max_output_tokens
anthropic max_tokens
gemini maxOutputTokens
ollama num_predict "num_ctx":16384,
bedrock-converse maxTokens
END
cat >all.json <<END
{"m4a1_recipe": 1, "name": "all", "views": [{"name": "first_person", "kind": "image", "privacy": 1},
  {"name": "side", "kind": "image", "privacy": 1}, {"name": "overhead", "kind": "image", "privacy": 1}],
 "tasks": ["Query"], "prompts": [{"id": "p1", "task": "Query", "text": "Where is the knife?"},
  {"id": "p2", "task": "Query", "text": "And the pan?"}], "sessions": {"script": "sessions.jsonl"},
 "system_prompt": "Be brief.", "actions": {"*": "all_subsets"}, "llms": {$llms}, "prices": [$prices]}
END
store=$WORK/b.m4a1
{
    "$M4A1" init "$store" --recipe all.json && "$M4A1" ingest "$store" scenes && "$M4A1" plan "$store" &&
        start_simulator --recipe all.json --time-scale 0 &&
        "$M4A1" collect "$store" --simulator "http://127.0.0.1:$SIM_PORT"
} >log 2>&1 || note <log
for protocol in openai-chat azure-openai openai-responses anthropic gemini ollama bedrock-converse; do
    call=$(sql "SELECT max(call_id) FROM call JOIN llm USING (llm_id) WHERE name = '$protocol'")
    check "$protocol" "$M4A1" show "$store" "$call"
    check_output "$protocol: what was sent" '; sent: side, overhead, first_person$'
    check_equal "$protocol: three pictures, two requests, one system prompt" \
        "$(grep -c '^    \[image sha256:' "$TAP_OUT") $(grep -cE '^    (Where is the knife|And the pan)\?$' "$TAP_OUT") $(grep -c '^    Be brief\.$' "$TAP_OUT")" "3 2 1"
done

cat >small.json <<'JSON'
[{"id": 41, "image_paths": ["k/a.jpg", "k/b.jpg"], "interactions": [
   {"question": "What?", "task_cat": "Query", "action": 1, "image_index": [1, 0], "answer": "Bread.",
    "score": 0.33333333333333331, "interaction_time": 2.5, "usage_cost": 6.75e-05},
   {"question": "More?", "task_cat": "Query", "action": 1, "image_index": null, "answer": "No.",
    "score": 1, "interaction_time": 1, "usage_cost": 0}], "association_score": [[0.1, 0.1], [0.1, 0.1]]}]
JSON
"$M4A1" import im.m4a1 small.json >/dev/null || exit 1
check "an imported answer" "$M4A1" show im.m4a1 1
check_output "with the authors' id" '^Call 1: path, session 1 \(id 41 in the imported file\), turn 0'
check_output "its llm has no model" '^LLM: +cloud$'
check_output "reported figures" '^Reported: 2\.500 s, 0\.0000675 USD, image_index \[1,0\]$'
check_output "a short score" '^Score ratio \(authors\): 0\.3333$'
check "without new views" "$M4A1" show im.m4a1 2
check_output "image_index is null" 'image_index null$'
check "as JSON, too" "$M4A1" show im.m4a1 1 --json
check_equal "with a list" "$(value 'd["answer"]["reported_views"], d["source_id"]')" "([1, 0], 41)"
done_testing
