#!/bin/bash
# test_kill.sh - kill -9 at random moments loses nothing and stores nothing twice.
# tests/run: limit 400
#
# A plan is collected once undisturbed, and once by a collector that is killed 30 times (200
# with M4A1_LONG) while the server fails on purpose.  Both stores must hold the same answers,
# and the server must have seen as many requests as the attempts tell.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

KILLS=30
SESSIONS=60
if [ -n "${M4A1_LONG:-}" ]; then
    KILLS=200
    SESSIONS=300
fi
IN_FLIGHT=16
RANDOM=20261122

cd "$WORK" || exit 1

sql()
{
    sqlite3 -readonly "$1" "$2"
}

# The answers of a store, by what was asked.
answers()
{
    sql "$1" "SELECT c.identity, r.text, r.stop_reason, r.input_tokens, r.output_tokens
        FROM response r JOIN call c USING (call_id) ORDER BY c.identity"
}

server_says()
{
    curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" | jq -r ".requests.$1"
}

check "scenes" "$M4A1" demo --scenes scenes --n-scenes 3 --quiet
check "a store" "$M4A1" init planned.m4a1
check "with scenes" "$M4A1" ingest planned.m4a1 scenes --quiet
check "and a plan" "$M4A1" plan planned.m4a1 --sessions "$SESSIONS" --fan-out 1 --quiet
cp planned.m4a1 calm.m4a1
cp planned.m4a1 killed.m4a1

start_simulator --seed 5 --time-scale 0 || exit 1
check "an undisturbed run answers all" "$M4A1" collect calm.m4a1 --quiet \
    --simulator "http://127.0.0.1:$SIM_PORT" --in-flight "$IN_FLIGHT" --max-usd 1000
stop_simulator

start_simulator --seed 5 --time-scale 0.02 --faults 0.05 || exit 1
collect=("$M4A1" collect killed.m4a1 --quiet --simulator "http://127.0.0.1:$SIM_PORT"
    --in-flight "$IN_FLIGHT" --max-usd 1000 --max-attempts 50)
killed=0
for ((i = 0; i < KILLS; i++)); do
    "${collect[@]}" >/dev/null 2>&1 &
    pid=$!
    sleep "0.$(printf '%03d' $((20 + RANDOM % 250)))"
    if kill -9 "$pid" 2>/dev/null; then
        killed=$((killed + 1))
    fi
    wait "$pid" 2>/dev/null
done
note "$killed of $KILLS runs were killed while they ran"
check "the collector was killed at least half of the times" test "$killed" -ge $((KILLS / 2))
check "the last run finishes the plan" "${collect[@]}"
check "one more sends nothing" "${collect[@]}"
check_output "and says so" 'Nothing was sent'

answers calm.m4a1 >calm.txt
answers killed.m4a1 >killed.txt
check "there are answers" test -s calm.txt
check "both stores hold the same answers" cmp calm.txt killed.txt
check "the store holds every invariant" "$M4A1" check killed.m4a1 --quiet
check_equal "no call has two responses" \
    "$(sql killed.m4a1 "SELECT count(*) - count(DISTINCT call_id) FROM response")" 0
check_equal "no attempt is open" \
    "$(sql killed.m4a1 "SELECT count(*) FROM attempt WHERE status = 'sent'")" 0

seen=$(server_says seen)
# What a server saw for certain; of the others (killed, or on a connection that was dead) it
# may have seen the request.
certain=$(sql killed.m4a1 "SELECT count(*) FROM attempt WHERE status IN ('ok', 'failed')
    AND error_class IS NOT 'connect' AND error_class IS NOT 'stale_connection'")
attempts=$(sql killed.m4a1 "SELECT count(*) FROM attempt")
unknown=$(sql killed.m4a1 "SELECT count(*) FROM attempt WHERE status = 'unknown'")
note "$seen requests seen; $attempts attempts, $certain with an outcome, $unknown killed"
check "the server saw every attempt with an outcome, and nothing that is no attempt" \
    test "$seen" -ge "$certain" -a "$seen" -le "$attempts"
check "unknown attempts are at most those in flight at the kills" \
    test "$unknown" -le $((killed * IN_FLIGHT))

done_testing
