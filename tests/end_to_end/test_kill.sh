#!/bin/bash
# test_kill.sh - kill -9 at random moments loses nothing and stores nothing twice.
# tests/run: limit 400
#
# A plan is collected once undisturbed from a server that never fails, and once by a collector
# that is killed 30 times (200 with M4A1_LONG) with 16 calls in flight, while the server fails on
# purpose.  Both stores must hold the same calls, requests and answers, nothing may be left
# over, and the server must have seen one request for each call, one for each failure that
# the store tells, and no more besides than were in flight at the kills.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

KILLS=30
SESSIONS=100
if [ -n "${M4A1_LONG:-}" ]; then
    KILLS=200
    SESSIONS=1300
fi
IN_FLIGHT=16
RANDOM=20261122

cd "$WORK" || exit 1

sql()
{
    sqlite3 -readonly "$1" "$2"
}

calls()
{
    sql "$1" "SELECT c.identity, c.purpose, p.identity, l.name, c.views_added, c.views_context,
            c.probability
        FROM call c JOIN llm l USING (llm_id) LEFT JOIN call p ON p.call_id = c.parent_id
        ORDER BY c.identity"
}

# The answers of a store, with the hash of the request, by what was asked.
answers()
{
    sql "$1" "SELECT c.identity, a.request_sha256, r.text, r.stop_reason, r.model,
            r.input_tokens, r.cache_read_tokens, r.output_tokens, r.reasoning_tokens,
            x.cost_pusd
        FROM response r JOIN call c USING (call_id) JOIN attempt a USING (attempt_id)
            JOIN response_cost x USING (response_id)
        ORDER BY c.identity"
}

count()
{
    sql killed.m4a1 "SELECT count(*) FROM $1"
}

now_ms()
{
    echo $(($(date +%s%N) / 1000000))
}

check "scenes" "$M4A1" demo --scenes scenes --n-scenes 3 --quiet
# The built-in llms together take 13 calls at once, and this is about 16.
"$M4A1" init --print-recipe | sed 's/"slots": [0-9]*/"slots": 16/' >recipe.jsonc
check "a store" "$M4A1" init planned.m4a1 --recipe recipe.jsonc
check "with scenes" "$M4A1" ingest planned.m4a1 scenes --quiet
check "and a plan" "$M4A1" plan planned.m4a1 --sessions "$SESSIONS" --fan-out 1 --quiet
cp planned.m4a1 calm.m4a1
cp planned.m4a1 killed.m4a1

start_simulator --seed 5 --time-scale 0 || exit 1
calm=("$M4A1" collect calm.m4a1 --quiet --simulator "http://127.0.0.1:$SIM_PORT"
    --in-flight "$IN_FLIGHT" --max-usd 1000)
check "an undisturbed run answers all" "${calm[@]}"
begun=$(now_ms)
check "once" "${calm[@]}"
idle_ms=$(($(now_ms) - begun)) # what a run takes that sends nothing
stop_simulator

start_simulator --seed 5 --time-scale 0.02 --faults 0.05 || exit 1
collect=("$M4A1" collect killed.m4a1 --quiet --simulator "http://127.0.0.1:$SIM_PORT"
    --in-flight "$IN_FLIGHT" --max-usd 1000 --max-attempts 50)
killed=0
while [ "$killed" -lt "$KILLS" ]; do
    "${collect[@]}" >out.txt 2>&1 &
    pid=$!
    wait_ms=$((idle_ms / 2 + RANDOM % (idle_ms / 2 + 300)))
    sleep "$((wait_ms / 1000)).$(printf '%03d' $((wait_ms % 1000)))"
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    if [ $? -ne 137 ]; then
        note "a run ended by itself after $killed kills:"
        tail -n 5 out.txt | note
        break
    fi
    killed=$((killed + 1))
done
check_equal "the collector was killed $KILLS times while it ran" "$killed" "$KILLS"
check "calls were still open then" \
    test "$(sql killed.m4a1 "SELECT count(*) FROM call_state WHERE state IN ('ready', 'waiting')")" -gt 0
check "the last run finishes the plan" "${collect[@]}"
check "one more sends nothing" "${collect[@]}"
check_output "and says so" 'Nothing was sent'
check_equal "no file is left beside the store" "$(ls killed.m4a1*)" killed.m4a1

calls calm.m4a1 >calm-calls.txt
calls killed.m4a1 >killed-calls.txt
check "both stores hold the same calls" cmp calm-calls.txt killed-calls.txt
answers calm.m4a1 >calm.txt
answers killed.m4a1 >killed.txt
n_calls=$(count call)
check_equal "each has an answer" "$(sql calm.m4a1 'SELECT count(*) FROM response')" "$n_calls"
check "to the same requests, with the same texts, tokens and costs" cmp calm.txt killed.txt

check "the store holds every invariant" "$M4A1" check killed.m4a1 --quiet
check_equal "SQLite finds it sound" "$(sql killed.m4a1 'PRAGMA integrity_check')" ok
check_equal "no row hangs in the air" "$(sql killed.m4a1 'PRAGMA foreign_key_check')" ""
check_equal "no response is without an attempt that says so" "$(count "response r
    LEFT JOIN attempt a ON a.attempt_id = r.attempt_id AND a.call_id = r.call_id
    WHERE a.status IS NOT 'ok'")" 0
check_equal "nor such an attempt without its response" "$(count "attempt a
    LEFT JOIN response r USING (attempt_id) WHERE a.status = 'ok' AND r.attempt_id IS NULL")" 0
check_equal "no call has two responses" \
    "$(sql killed.m4a1 "SELECT count(*) - count(DISTINCT call_id) FROM response")" 0
check_equal "no attempt is open" "$(count "attempt WHERE status = 'sent'")" 0
check_equal "nor a run of those that were killed told to have ended" \
    "$(count "run WHERE outcome IS NOT NULL")" 1

seen=$(curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" | jq -r .requests.seen)
# Of connections that broke before an answer came it is not known whether they brought a request.
retries=$(count "attempt WHERE status = 'failed' AND error_class <> 'connect'")
stale=$(count "attempt WHERE error_class = 'stale_connection'")
unknown=$(count "attempt WHERE status = 'unknown'")
hit=$(sql killed.m4a1 "SELECT count(DISTINCT run_id) FROM attempt WHERE status = 'unknown'")
most=$(sql killed.m4a1 "SELECT max(n) FROM (SELECT count(*) AS n FROM attempt
    WHERE status = 'unknown' GROUP BY run_id)")
besides=$((seen - n_calls - retries))
note "$killed kills, $hit of them with calls in flight, $most at most, $unknown in all"
note "$seen requests seen = $n_calls calls + $retries recorded retries + $besides of those in flight"
note "retries: $(sql killed.m4a1 "SELECT group_concat(error_class || ' ' || n, ', ') FROM (SELECT
    error_class, count(*) AS n FROM attempt WHERE status = 'failed' GROUP BY 1)")"
check "the server failed in several ways" test "$(sql killed.m4a1 "SELECT count(DISTINCT error_class)
    FROM attempt WHERE status = 'failed'")" -ge 4
check "half of the kills or more hit calls in flight" test "$hit" -ge $((KILLS / 2))
check_equal "some of them as many as may be" "$most" "$IN_FLIGHT"
check "requests seen = calls + recorded retries + at most those in flight at the kills" \
    test "$besides" -ge $((-stale)) -a "$besides" -le "$unknown"

done_testing
