#!/bin/bash
# test_doctor - m4a1 doctor: what is found before a run, one tiny call an llm, and no more.
. "$(dirname "$0")/../support/tap.sh"

command -v jq >/dev/null || skip_all "jq is not installed"
cd "$WORK" || exit 1
recipe()
{
    cat >r.jsonc <<JSON
{ "m4a1_recipe": 1, "name": "small",
  "views": [ {"name": "head", "kind": "image", "privacy": 2} ],
  "tasks": ["Query"], "prompts": [ {"task": "Query", "text": "Which tool?"} ],
  "sessions": {"n": 3, "turns": [2, 4], "seed": 7},
  "llms": {
    "good": {"role": "cloud", "protocol": "openai-chat", "url": "$1", "model": "a",
        "key_env": "A_KEY", "parameters": {"max_tokens": 50}, "limits": {"rpm": 60}},
    "keyless": {"role": "cloud", "protocol": "openai-chat", "url": "$1", "model": "b",
        "key_env": "NO_KEY", "parameters": {"max_tokens": 50}},
    "refused": {"role": "cloud", "protocol": "openai-chat", "url": "$1", "model": "c",
        "key_env": "BAD_KEY", "parameters": {"max_tokens": 50}},
    "down": {"role": "cloud", "protocol": "openai-chat", "url": "http://127.0.0.1:1",
        "model": "d", "key_env": "A_KEY", "parameters": {"max_tokens": 50}},
    "costly": {"role": "cloud", "protocol": "openai-chat", "url": "$1", "model": "e",
        "key_env": "A_KEY", "parameters": {"max_tokens": 50000}},
    "unpriced": {"role": "cloud", "protocol": "openai-chat", "url": "$1", "model": "f",
        "key_env": "A_KEY", "parameters": {"max_tokens": 50}} },
  "prices": [ $(for l in good keyless refused down costly; do
        printf '{"llm": "%s", "from": "2020-01-01", "input_usd": 1, "output_usd": 10, "source": "test"},' $l
    done | sed 's/,$//') ] }
JSON
}
recipe http://127.0.0.1:1
start_simulator --recipe r.jsonc --time-scale 0.01 || exit 1
recipe "http://127.0.0.1:$SIM_PORT"
export A_KEY=sk-good-1a2b3c4d BAD_KEY=invalid
unset NO_KEY
seen() { curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" | jq .requests.seen; }
state() { jq -r ".findings[] | select(.llm == \"$1\" and .topic == \"$2\") | .state" out.json; }
todo() { jq -r ".findings[] | select(.llm == \"$1\" and .topic == \"$2\") | .todo" out.json; }

check_status 1 "without calls: what is wrong is told" "$M4A1" doctor r.jsonc --no-calls
check_equal "and nothing is sent" "$(seen)" 0
"$M4A1" doctor r.jsonc --json >out.json 2>errors.txt
check_equal "with calls" $? 1
check_equal "only llms that can answer are asked, once each" "$(seen)" 2
check_equal "a good one answers" "$(state good call)" ok
check_equal "its price is old" "$(state good price)" warning
check_equal "a key that is not set" "$(state keyless key)" wrong
check_equal "is not tried" "$(state keyless call)" skipped
check_equal "a key that is refused" "$(state refused call)" wrong
check_equal "says what to do" "$(todo refused call | grep -c 'does not take this key')" 1
check_equal "a server that is down" "$(state down server)" wrong
check_equal "no price" "$(state unpriced price)" wrong
check_equal "limits of the recipe are told" "$(jq -r '.findings[] |
    select(.llm == "good" and .topic == "limits") | .what' out.json | grep -c '60 requests a minute')" 1
check_equal "a call that might be dear is not sent" "$(state costly call)" skipped
check_equal "disk" "$(jq -r '.findings[] | select(.topic == "disk") | .what' out.json |
    grep -c free)" 1
check_equal "the calls cost next to nothing" "$(jq '.cost_usd < 0.01 and .cost_usd > 0' out.json)" true
check_equal "no key is shown" "$(cat out.json errors.txt | grep -c 'sk-good-1')" 0
check "a store is looked at likewise" "$M4A1" init s.m4a1 --recipe r.jsonc --quiet
check_status 1 "by its recipe" "$M4A1" doctor s.m4a1 --no-calls
check_output "for people" 'What to do'
check_equal "and nothing is written to it" "$(sqlite3 s.m4a1 'SELECT count(*) FROM call')" 0
check_equal "no scratch folder is left" "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'm4a1-doctor-*' | wc -l)" 0
done_testing
