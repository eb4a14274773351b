#!/bin/bash
# test_schedule.sh - what a night run and a scheduler need: shards, deadlines, exit codes, SIGTERM
# with grace, isolated timing; and looking at it afterwards: latencies, curl, rederive.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

command -v jq >/dev/null || skip_all "jq is not installed"
cd "$WORK" || exit 1
sql() { sqlite3 -readonly s.m4a1 "$1"; }

check "scenes" "$M4A1" demo --scenes scenes --n-scenes 2 --quiet
check "a store" "$M4A1" init s.m4a1 --quiet
check "with scenes" "$M4A1" ingest s.m4a1 scenes --quiet
check "and a plan" "$M4A1" plan s.m4a1 --sessions 20 --fan-out 1 --quiet
cp s.m4a1 planned.m4a1
planned=$(sql 'SELECT count(*) FROM call')
check_status 3 "calls are open" "$M4A1" status s.m4a1 --json --exit-code
check_equal "which the JSON tells too" "$(jq '.ready > 0 and .waiting > 0 and .failed == 0
    and .ready + .waiting == '"$planned"' and .open_attempts == 0' "$TAP_OUT")" true
start_simulator --seed 5 --time-scale 0.02 || exit 1
collect=("$M4A1" collect s.m4a1 --quiet --simulator "http://127.0.0.1:$SIM_PORT" --max-usd 1000)

check_status 2 "a shard is one of several" "${collect[@]}" --shard 3/2
check_status 2 "a length of time" "${collect[@]}" --for soon
check_status 2 "a time" "${collect[@]}" --until yesterday
check_status 2 "no more than a year away" "${collect[@]}" --until 2400-01-01T00:00Z
check_output "which it says" '2400-01-01T00:00Z is more than a year away'
check_status 2 "one of the two" "${collect[@]}" --until 07:30 --for 1h
check_status 2 "a timing" "${collect[@]}" --timing quick

check "the first shard" "${collect[@]}" --shard 1/2
first=$(sql 'SELECT count(*) FROM response')
check "is a part of the plan" test "$first" -gt 0 -a "$first" -lt "$planned"
check_equal "of whole sessions" "$(sql "SELECT count(*) FROM (SELECT session_id FROM turn
    JOIN call USING (turn_id) LEFT JOIN response USING (call_id) GROUP BY session_id
    HAVING count(response_id) NOT IN (0, count(*)))")" 0
check_status 3 "the rest is open" "$M4A1" status s.m4a1 --exit-code
check_status 3 "a deadline stops early" "${collect[@]}" --for 1s --timing isolated --json
check_output "and says so" '"deadline_reached": true'
check_equal "one call at a time" "$(sql "SELECT max(in_flight) FROM attempt
    WHERE timing = 'isolated'")" 1

stop_simulator
start_simulator --seed 5 --time-scale 0.2 || exit 1
collect=("$M4A1" collect s.m4a1 --quiet --simulator "http://127.0.0.1:$SIM_PORT" --max-usd 1000)
"${collect[@]}" --grace 20 >/dev/null 2>&1 &
pid=$!
stop_at_exit "$pid"
one_is_open() { [ "$(sql "SELECT count(*) FROM attempt WHERE status = 'sent'")" -gt 0 ]; }
check "a run has calls in flight" wait_for 20 one_is_open
kill -TERM "$pid"
wait "$pid"
check_equal "SIGTERM ends it like Ctrl-C" $? 130
check_equal "after what was in flight" "$(sql "SELECT count(*) FROM attempt
    WHERE status IN ('sent', 'unknown')")" 0
check_equal "which the run tells" "$(sql 'SELECT outcome FROM run ORDER BY run_id DESC LIMIT 1')" \
    interrupted

# Answers that take longer than the grace period are given up, and told apart from failures.
stop_simulator
start_simulator --seed 5 --time-scale 20 || exit 1
collect=("$M4A1" collect s.m4a1 --quiet --simulator "http://127.0.0.1:$SIM_PORT" --max-usd 1000)
"${collect[@]}" --grace 0.5 >out.txt 2>&1 &
pid=$!
stop_at_exit "$pid"
check "a run has slow calls in flight" wait_for 20 one_is_open
check_status 3 "which status counts" "$M4A1" status s.m4a1 --json --exit-code
check_equal "as open attempts" "$(jq '.open_attempts > 0' "$TAP_OUT")" true
begun=$SECONDS
kill -TERM "$pid"
wait "$pid"
check_equal "SIGTERM with a short grace" $? 130
check "ends it soon" test $((SECONDS - begun)) -le 5
check "it says how long it waits" grep -q 'finishing [0-9]* calls in flight (up to 0.5 s)' out.txt ||
    note <out.txt
check_equal "no attempt is open" "$(sql "SELECT count(*) FROM attempt WHERE status = 'sent'")" 0
check "those in flight are given up" \
    test "$(sql "SELECT count(*) FROM attempt WHERE error_class = 'aborted' AND NOT final")" -gt 0
check_equal "and count what they may cost" "$(sql "SELECT count(*) FROM attempt
    JOIN attempt_cost USING (attempt_id) WHERE error_class = 'aborted'
        AND counted_pusd IS NOT reserved_pusd")" 0

stop_simulator
start_simulator --seed 5 --time-scale 0 || exit 1
collect=("$M4A1" collect s.m4a1 --quiet --simulator "http://127.0.0.1:$SIM_PORT" --max-usd 1000)
check "the rest is collected" "${collect[@]}"
check_equal "once" "$(sql 'SELECT count(*) FROM response')" "$planned"
check "and nothing is open" "$M4A1" status s.m4a1 --json --exit-code
check_equal "nor waits" "$(jq '[.ready, .waiting, .failed, .blocked, .open_attempts] | add' "$TAP_OUT")" 0

"$M4A1" status s.m4a1 --json >status.json
check_equal "all costs are summed" "$(jq '.money.cost_usd * 1e6 | round' status.json)" \
    "$(sql 'SELECT round(sum(cost_usd) * 1e6) FROM cost_by_llm' | sed 's/\.0$//')"
check_equal "beside the recipe's cap" "$(jq .money.cap_usd status.json)" 25
check "for people" "$M4A1" status s.m4a1
check_output "with one row for all" '^all .*\$25\.00'

check "latencies" "$M4A1" stats latency s.m4a1 --json --profile costs.json
check_equal "loaded and isolated apart" \
    "$(jq -r '[.actions[].timing] | unique | join(" ")' costs.json)" "isolated loaded"
check_equal "each action with seconds and USD" \
    "$(jq '[.actions[] | select(.p50_s == null or .cost_mean_usd == null)] | length' costs.json)" 0
check "a request as a command" "$M4A1" show s.m4a1 1 --curl
check_output "with its address" "^curl -sS 'http"
check "stored answers are read anew" "$M4A1" rederive s.m4a1 --dry-run
check_output "and say the same" 'say the same of all'
check "and the store holds every invariant" "$M4A1" check s.m4a1 --quiet

# ---- three machines, a copy each ----------------------------------------------------

stop_simulator
start_simulator --seed 5 --time-scale 0 || exit 1
for i in 1 2 3; do
    cp planned.m4a1 "copy$i.m4a1"
    check "shard $i of 3" "$M4A1" collect "copy$i.m4a1" --quiet --shard "$i/3" --max-usd 1000 \
        --simulator "http://127.0.0.1:$SIM_PORT"
    check "again" "$M4A1" collect "copy$i.m4a1" --quiet --shard "$i/3" --max-usd 1000 \
        --simulator "http://127.0.0.1:$SIM_PORT"
    check_output "sends nothing" '^Nothing was sent'
    sqlite3 -readonly "copy$i.m4a1" 'SELECT c.identity FROM response JOIN call c USING (call_id)'
done >shards.txt
sed -n '/^[0-9a-f]\{64\}$/p' shards.txt | sort >answered.txt
grep -v '^[0-9a-f]\{64\}$' shards.txt
sqlite3 -readonly planned.m4a1 'SELECT identity FROM call ORDER BY 1' >wanted.txt
check "together they answer each call of the plan, once" cmp answered.txt wanted.txt
check_equal "and ask for nothing else" \
    "$(curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" | jq .requests.seen)" "$planned"

# ---- the loop of a scheduler, as the help has it ------------------------------------

cp planned.m4a1 loop.m4a1
runs=0
while "$M4A1" status loop.m4a1 --exit-code >/dev/null; [ $? -eq 3 ]; do
    runs=$((runs + 1))
    "$M4A1" collect loop.m4a1 --limit 40 --quiet --max-usd 1000 \
        --simulator "http://127.0.0.1:$SIM_PORT" >out.txt 2>&1
    [ $? -eq 3 ] || break
done
check_equal "a loop over status and collect ends when all is done" "$runs" $(((planned + 39) / 40))
check "with exit status 0" "$M4A1" status loop.m4a1 --exit-code
check_status 3 "a judge leaves calls open" "$M4A1" annotate loop.m4a1 --limit 3 --quiet \
    --max-usd 1000 --simulator "http://127.0.0.1:$SIM_PORT"
check_status 3 "which status counts" "$M4A1" status loop.m4a1 --exit-code
check "and at which the loop ends: they are not for collect" "$M4A1" collect loop.m4a1 --quiet \
    --simulator "http://127.0.0.1:$SIM_PORT"
stop_simulator

# Where calls fail for good, none is open in the end, and the exit status says so.
start_simulator --seed 5 --time-scale 0 --faults 0.3 --faults-kind malformed || exit 1
cp planned.m4a1 failing.m4a1
check_status 3 "without a second attempt" "$M4A1" collect failing.m4a1 --quiet --max-usd 1000 \
    --max-attempts 1 --simulator "http://127.0.0.1:$SIM_PORT"
check_status 1 "some calls have failed and none is open" "$M4A1" status failing.m4a1 --json --exit-code
check_equal "which the JSON tells" "$(jq '.failed > 0 and .blocked > 0 and .ready + .waiting == 0' \
    "$TAP_OUT")" true
check_status 1 "a store that is not there is no 3" "$M4A1" status none.m4a1 --exit-code
done_testing
