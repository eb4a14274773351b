#!/bin/bash
# test_collect - collecting from the simulator with the program itself: faults, limits, caps,
# refusals, interruption, and looking at single calls.
. "$(dirname "$0")/../support/tap.sh"

command -v sqlite3 >/dev/null || skip_all "the sqlite3 program is not installed"

store=$WORK/a.store
sql() { sqlite3 -batch -noheader "$store" "$1"; }
one_is_open() { [ "$(sql "SELECT count(*) FROM attempt WHERE status = 'sent'")" -gt 0 ]; }
json() { sed -n "s/^ *\"$1\": *\([^,]*\),\{0,1\}$/\1/p" "$TAP_OUT" | head -n 1; }

check "scenes are drawn" "$M4A1" demo --scenes "$WORK/scenes" --n-scenes 1 --quiet
check "a store is made" "$M4A1" init "$store" --recipe m4a1
check "scenes are put in" "$M4A1" ingest "$store" "$WORK/scenes" --quiet
check "an empty plan is no error" "$M4A1" collect "$store"
check_output "and says what to do" 'm4a1 plan'
check "sessions are planned" "$M4A1" plan "$store" --sessions 8 --quiet
planned=$(sql 'SELECT count(*) FROM call')

unset OPENAI_API_KEY
keys=$(sql "SELECT count(*) FROM llm JOIN call USING (llm_id) WHERE settings ->> '\$.key_env' IS NOT NULL")
if [ "$keys" -gt 0 ]; then
    check_status 1 "without keys nothing is sent" "$M4A1" collect "$store"
    check_output "and the variable is named" 'environment variable [A-Z_]+ is not set'
fi
check_equal "no attempt is written" "$(sql 'SELECT count(*) FROM attempt')" 0
check_status 2 "an unknown purpose is a usage error" "$M4A1" collect "$store" --purpose jugde
check_output "with the nearest" 'judge'
check_status 2 "a simulator is an address" "$M4A1" collect "$store" --simulator localhost

start_simulator --time-scale 0.01 --faults 0.2 || exit 1
sim=http://127.0.0.1:$SIM_PORT
check_status 3 "a limit stops early" "$M4A1" collect "$store" --simulator "$sim" --limit 3 --quiet
check_equal "after so many attempts" "$(sql 'SELECT count(*) FROM attempt')" 3
check_status 3 "a cap of nothing" "$M4A1" collect "$store" --simulator "$sim" --max-usd 0 --quiet
check_output "is reached" 'The cap of \$0\.00 is reached'
check_output "and how to go on is said" 'collect .* --max-usd X'
check_status 3 "a cap of a millionth" "$M4A1" collect "$store" --simulator "$sim" --max-usd 0.000001 --quiet
check_output "does not look like nothing" 'The cap of \$0\.000001 is reached'
for cap in -1 1000001 1e300 inf nan some; do
    check_status 2 "a cap of $cap is a usage error" "$M4A1" collect "$store" --simulator "$sim" --max-usd "$cap"
done
cp "$store" "$WORK/own.m4a1"
"$M4A1" init --print-recipe | sed 's/"timeout_s": 120/"limits": {"max_usd": 0.000002}, &/' >"$WORK/own.jsonc"
check "caps of llms of their own" "$M4A1" init "$WORK/own.m4a1" --recipe "$WORK/own.jsonc"
check_status 3 "stop these" "$M4A1" collect "$WORK/own.m4a1" --simulator "$sim" --quiet
check_output "which is told by name" '^[a-z0-9_.-]+: its own cap is reached; raise limits\.max_usd'
check_no_output "and is not the cap of all" 'The cap of'
check "the rest is collected" "$M4A1" collect "$store" --simulator "$sim" --json --quiet --max-attempts 8
check_equal "every call has an answer" "$(sql 'SELECT count(*) FROM response')" "$planned"
check_equal "and one only" "$(sql 'SELECT count(DISTINCT call_id) FROM response')" "$planned"
check_equal "every row says simulated" "$(sql 'SELECT count(*) FROM response WHERE NOT simulated')" 0
check_equal "the summary counts the calls" "$(json 'done')" "$planned"
seen=$(curl -sS --noproxy '*' "$sim/simulator/stats" | sed -n 's/^ *"seen": *\([0-9]*\).*/\1/p' | head -n 1)
check_equal "every request the server saw is an attempt" \
    "${seen:-none}" "$(sql "SELECT count(*) FROM attempt WHERE coalesce(error_class, '') <> 'connect'")"
check "a second collect" "$M4A1" collect "$store" --simulator "$sim" --quiet
check_output "sends nothing and says so" "^Nothing was sent: $planned of $planned"

call=$(sql "SELECT call_id FROM call WHERE parent_id IS NOT NULL AND views_context ORDER BY 1 LIMIT 1")
check "a call is shown" "$M4A1" show "$store" "$call"
check_output "with what was sent" '^ *What|View [a-z_]+:|assistant:'
check_output "with its image by hash" 'image sha256:'
check_output "with what came back" '^Answer \(.*simulated'
check "also as JSON" "$M4A1" show "$store" "$call" --json
check_output "with its request" '"messages":'
check_status 1 "a call that is not there" "$M4A1" show "$store" 999999
check_status 2 "a call is a number" "$M4A1" show "$store" first

check "more sessions are planned" "$M4A1" plan "$store" --sessions 40 --quiet
stop_simulator
start_simulator --time-scale 0.2 || exit 1
"$M4A1" collect "$store" --simulator "http://127.0.0.1:$SIM_PORT" --quiet >"$WORK/out" 2>&1 &
pid=$!
stop_at_exit "$pid"
wait_for 30 one_is_open
kill -INT "$pid"
wait "$pid"
check_equal "an interrupted run says so" $? 130
check_equal "and leaves nothing open" "$(sql "SELECT count(*) FROM attempt WHERE status = 'sent'")" 0
check_equal "nothing in flight was given up" "$(sql "SELECT count(*) FROM attempt WHERE status = 'unknown'")" 0
check "it says what it waits for" grep -q 'finishing [0-9]* calls in flight' "$WORK/out"
stop_simulator

# A second interruption gives up what is in flight, and writes that down.
start_simulator --time-scale 5 || exit 1
"$M4A1" collect "$store" --simulator "http://127.0.0.1:$SIM_PORT" --quiet >"$WORK/out" 2>&1 &
pid=$!
stop_at_exit "$pid"
wait_for 30 one_is_open
kill -INT "$pid"
sleep 0.3
kill -INT "$pid"
wait "$pid"
check_equal "a run that is interrupted twice says so" $? 130
check_equal "and leaves nothing open either" "$(sql "SELECT count(*) FROM attempt WHERE status = 'sent'")" 0
check "but says what was given up" test "$(sql "SELECT count(*) FROM attempt WHERE error_class = 'aborted'")" -gt 0
stop_simulator

check_status 1 "simulated and real answers do not mix" "$M4A1" collect "$store" --quiet
check_output "and the message says so" 'holds [0-9]+ simulated answers, and real ones do not go beside them'

check_status 3 "a server that is down is left alone" \
    timeout 120 "$M4A1" collect "$store" --simulator http://127.0.0.1:1 --quiet
check_output "and the reason is told" 'was left alone, its calls stay open: .*onnect'
check_equal "its calls are not failed for good" \
    "$(sql "SELECT count(*) FROM attempt WHERE final AND error_class = 'connect'")" 0
check_equal "calls that it never got cost nothing" \
    "$(sql "SELECT coalesce(sum(counted_pusd), 0) FROM attempt_cost JOIN attempt USING (attempt_id) WHERE error_class = 'connect'")" 0
done_testing
