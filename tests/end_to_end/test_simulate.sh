#!/bin/bash
# test_simulate.sh - the simulated server as a user meets it: options, curl, signals.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

command -v curl >/dev/null || skip_all "curl, the program, is not installed"

LOCAL=qwen2.5-vl-3b-instruct
CLOUD=gpt-5-mini
PICTURE=iVBORw0KGgoAAAANSUhEUgAAAwAAAAIAAQ==

# ask PATH [CURL OPTION...]: sends $BODY, or a GET without one.
ask()
{
    local path=$1
    shift
    curl -sS --noproxy '*' --max-time 30 "$@" ${BODY:+-d "$BODY"} \
        "http://127.0.0.1:$SIM_PORT$path"
}

stat_of()
{
    BODY='' ask /simulator/stats | tr -d ' ,"' | sed -n "s/^$1://p" | head -n 1
}

body()
{
    printf '{"model":"%s",%s"messages":[{"role":"user","content":"%s"}]}' "$1" "$3" "$2"
}

QUERY='Where is the knife, and is it lying safely?'
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

# --- start and what it says ---

check "help teaches" "$M4A1" simulate --help
check_output "help has an example" 'm4a1 simulate --recipe'
check_status 2 "a bad probability is a usage error" "$M4A1" simulate --faults 1.5
check_output "it is named" 'faults'
check_status 2 "a positional argument is a usage error" "$M4A1" simulate STORE
check_status 1 "a recipe that is not there is an error" \
    "$M4A1" simulate --recipe "$WORK/none.jsonc"
check_output "it is named" 'none\.jsonc'
check_status 1 "a host that is no address is an error" "$M4A1" simulate --host nowhere.example
printf '{"m4a1_recipe": 1, "views": 3}' >"$WORK/bad.jsonc"
check_status 1 "a broken recipe is an error" "$M4A1" simulate --recipe "$WORK/bad.jsonc"
check_output "with its mistakes, a line each" 'bad\.jsonc:1: '

if start_simulator --time-scale 0.01 --seed 7; then
    ok "it starts on a free port and writes it to the port file"
else
    not_ok "it starts on a free port and writes it to the port file"
    done_testing
fi
check "the ready line" cat "$SIM_LOG"
check_output "names the address" "^simulator ready at http://127\.0\.0\.1:$SIM_PORT "
check_status 1 "a port in use is an error" "$M4A1" simulate --port "$SIM_PORT"
check_output "that says what to do" 'give another --port'

# --- answers ---

BODY='' check "health" ask /health
BODY='' check "models" ask /v1/models
check_output "lists the recipe's" "\"id\": \"$LOCAL\""

BODY=$(body "$LOCAL" "$QUERY" '')
check "an answer" ask /v1/chat/completions -D "$WORK/headers"
check_output "is marked in its body" '"system_fingerprint":"m4a1-simulator-1"'
check "its headers" cat "$WORK/headers"
check_output "mark it, too" '^x-m4a1-simulated: 1'
ask /v1/chat/completions >"$WORK/one"
ask /any/prefix/v1/chat/completions >"$WORK/two"
check "the same request gets the same answer, behind any prefix" cmp "$WORK/one" "$WORK/two"

BODY=$(body "$CLOUD" "$QUERY" '"stream":true,"stream_options":{"include_usage":true},')
check "a stream" ask /v1/chat/completions -N -H 'Authorization: Bearer k'
check_output "has deltas" '^data: .*"delta":\{"content":'
check_output "has the usage in its last chunk" '^data: .*"choices":\[\],"usage":\{"prompt_tokens"'
check_output "ends" '^data: \[DONE\]'
check_status 22 "the key that is invalid is a 401" ask /v1/chat/completions -f -H 'Authorization: Bearer invalid'
check_output "said by curl" '401'

# A body above 1 MiB makes curl ask with Expect: 100-continue.
{
    printf '{"model":"%s","messages":[{"role":"user","content":[{"type":"text","text":"' "$LOCAL"
    head -c 1500000 /dev/zero | tr '\0' 'x'
    printf '"},{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}}]}]}' "$PICTURE"
} >"$WORK/big.json"
BODY=@$WORK/big.json
check "a body of 1.5 MB" ask /v1/chat/completions -H 'Content-Type: application/json'
check_output "is counted in tokens" '"prompt_tokens":37[0-9]{4},'
BODY='{"model":"nobody","messages":[{"role":"user","content":"x"}]}'
check "an unknown model" ask /v1/chat/completions
check_output "is told so" '"code": ?"model_not_found"'

check_equal "invalid requests are counted" "$(stat_of invalid)" 2
check_equal "answers are counted" "$(stat_of answered)" "$(($(stat_of seen) - 2))"
check_equal "so are requests that came again" "$(stat_of seen_again)" 1

# --- the seed, across processes ---

BODY=$(body "$CLOUD" "$QUERY" '"temperature":0.5,')
ask /v1/chat/completions -H 'Authorization: Bearer k' >"$WORK/seed7"
kill -TERM "$SIM_PID"
wait "$SIM_PID"
check_equal "SIGTERM ends it cleanly" $? 0
check "its last line" tail -n 1 "$SIM_LOG"
check_output "is a summary" '^simulator: stopped; [0-9]+ requests seen'
start_simulator --time-scale 0 --seed 7
ask /v1/chat/completions -H 'Authorization: Bearer k' >"$WORK/seed7again"
check "another process with the seed gives the same answer" \
    cmp "$WORK/seed7" "$WORK/seed7again"
stop_simulator
start_simulator --time-scale 0 --seed 8
ask /v1/chat/completions -H 'Authorization: Bearer k' >"$WORK/seed8"
check_status 1 "another seed gives another answer" cmp "$WORK/seed7" "$WORK/seed8"
stop_simulator

# --- faults, with retries by curl, which know the statuses ---

start_simulator --time-scale 0.001 --faults 0.4
good=0
for i in $(seq 30); do
    BODY=$(body "$LOCAL" "$QUERY" "\"seed\":$i,")
    for _ in 1 2 3; do
        if ask /v1/chat/completions -f 2>/dev/null | grep -q '"finish_reason":"stop".*}$'; then
            good=$((good + 1))
            break
        fi
    done
done
check_equal "every request is answered within three times" "$good" 30
check_equal "each was answered once" "$(stat_of answered)" 30
check "faults were among them" test "$(stat_of faulted)" -gt 3

# --- stopping while requests are under way ---

stop_simulator
start_simulator --time-scale 100
BODY=$(body "$LOCAL" "$QUERY" '')
ask /v1/chat/completions >"$WORK/late" 2>&1 &
late=$!
stop_at_exit "$late"
# shellcheck disable=SC2317
in_flight()
{
    [ "$(stat_of in_flight)" = 1 ]
}
wait_for 10 in_flight
kill -INT "$SIM_PID"
wait "$SIM_PID"
check_equal "Ctrl-C ends it while a request is under way" $? 0
wait "$late"
check_equal "whose connection is closed without an answer" $? 52

done_testing
