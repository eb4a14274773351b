#!/bin/bash
# test_clock.sh - a wall clock that jumps during a run: forwards, backwards, to before the
# first price.  Latencies, deadlines and waits do not see it; prices are those of the time
# of day at which a call was sent; no cap is passed.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

command -v jq >/dev/null || skip_all "jq is not installed"
cd "$WORK" || exit 1
shim=$WORK/jumping_clock.so
"${CC:-cc}" -shared -fPIC -O1 -o "$shim" "$ROOT/tests/end_to_end/jumping_clock.c" -ldl 2>cc.txt || {
    note <cc.txt
    skip_all "no shared library can be built here"
}

export JUMPING_CLOCK=$WORK/jump.txt
# jump MS: from now on the wall clock of what runs under the shim is so far ahead.
jump()
{
    echo "$1" >jump.new && mv jump.new jump.txt
}
DAY=86400000
# A sanitizer wants to be loaded first, and the shim does it no harm.
with_jumps=(env LD_PRELOAD="$shim" ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0")
sql() { sqlite3 -readonly s.m4a1 "$1"; }
count() { sql "SELECT count(*) FROM $1"; }
sent_more_than() { [ "$(count attempt)" -gt "$1" ]; }
seen() { curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" | jq .requests.seen; }

jump $((3 * DAY))
check_equal "the shim moves the time of day" \
    "$("${with_jumps[@]}" "$M4A1" demo --help >/dev/null && "${with_jumps[@]}" date +%F)" \
    "$(date -d '+3 days' +%F)"
jump 0

# The cloud costs twice as much from the day after tomorrow on.
later=$(date -u -d '+2 days' +%F)
"$M4A1" init --print-recipe | sed 's|^  "prices": \[|&\
    {"llm": "cloud", "from": "'"$later"'", "input_usd": 0.50, "cached_input_usd": 0.05,\
     "output_usd": 4.00, "source": "test"},|' >recipe.jsonc
check "scenes" "$M4A1" demo --scenes scenes --n-scenes 2 --quiet
check "a store with a price to come" "$M4A1" init s.m4a1 --recipe recipe.jsonc --quiet
check "with scenes" "$M4A1" ingest s.m4a1 scenes --quiet
check "and a plan" "$M4A1" plan s.m4a1 --sessions 40 --fan-out 1 --quiet
planned=$(count call)
cp s.m4a1 planned.m4a1

# ---- forwards and backwards ---------------------------------------------------------

start_simulator --seed 5 --time-scale 0.04 --faults 0.05 || exit 1
collect=("${with_jumps[@]}" "$M4A1" collect s.m4a1 --quiet --max-usd 1000 --max-attempts 20
    --simulator "http://127.0.0.1:$SIM_PORT")
"${collect[@]}" >out.txt 2>&1 &
pid=$!
stop_at_exit "$pid"
check "a run has begun" wait_for 30 sent_more_than 40
jump $((3 * DAY + 777))
check "the clock jumps three days ahead" wait_for 60 sent_more_than $(($(count attempt) + 80))
jump $((-DAY / 2 - 333))
check "and back, to the day before" wait_for 60 sent_more_than $(($(count attempt) + 80))
jump 0
wait "$pid"
check_equal "the run is not disturbed" $? 0 || note <out.txt
check_equal "every call has an answer" "$(count response)" "$planned"
check_equal "the server saw each attempt once, but for dead connections" \
    "$(($(seen) - $(count "attempt WHERE error_class IS NOT 'stale_connection'") <= \
    $(count "attempt WHERE error_class = 'stale_connection'")))" 1
check "the attempts were sent on several days" \
    test "$(sql 'SELECT max(sent_ms) - min(sent_ms) FROM attempt')" -gt $((3 * DAY))
check_equal "no latency is wrong" "$(count "attempt WHERE latency_ns < 0 OR latency_ns > 60e9
    OR first_byte_ns < 0 OR first_byte_ns > latency_ns OR upload_ns NOT BETWEEN 0 AND latency_ns
    OR queue_ns < 0 OR queue_ns > 60e9 OR connect_ns < 0 OR loop_lag_ns NOT BETWEEN 0 AND 60e9")" 0
check_equal "each attempt was open for its latency and little more" "$(count "attempt
    WHERE closed_ms - sent_ms NOT BETWEEN coalesce(latency_ns, 0) / 1000000 - 1 AND 60000")" 0
check_equal "the run ends after it began" "$(count "run WHERE ended_ms < started_ms")" 0
at=$(($(date -u -d "$later" +%s) * 1000))
check_equal "each call costs what was due when it was sent" "$(sql "SELECT count(*) FROM response r
    JOIN attempt a USING (attempt_id) JOIN call c ON c.call_id = r.call_id
    JOIN llm l USING (llm_id) JOIN response_cost x USING (response_id)
    WHERE l.name = 'cloud' AND x.cost_pusd IS NOT (a.sent_ms >= $at) * (250000 * r.input_tokens
        + 25000 * r.cache_read_tokens + 2000000 * (r.output_tokens + r.reasoning_tokens))
        + 250000 * r.input_tokens + 25000 * r.cache_read_tokens
        + 2000000 * (r.output_tokens + r.reasoning_tokens)")" 0
check_equal "at both prices" "$(sql "SELECT count(DISTINCT price_id) FROM response_cost
    JOIN call USING (call_id) JOIN llm USING (llm_id) WHERE name = 'cloud'")" 2
check "the store holds every invariant" "$M4A1" check s.m4a1 --quiet

# ---- deadlines ----------------------------------------------------------------------

# Slow answers, so that neither run gets through.
stop_simulator
start_simulator --seed 5 --time-scale 0.3 || exit 1
collect=("${with_jumps[@]}" "$M4A1" collect s.m4a1 --quiet --max-usd 1000 --json
    --simulator "http://127.0.0.1:$SIM_PORT")
for jumped in 1 -1; do
    rm -f s.m4a1*
    cp planned.m4a1 s.m4a1
    jump 0
    "${collect[@]}" --for 3s >out.txt 2>err.txt &
    pid=$!
    stop_at_exit "$pid"
    wait_for 20 sent_more_than 1
    jump $((jumped * DAY))
    wait "$pid"
    check_equal "a deadline, the clock jumps by $jumped day: it stops with calls open" $? 3
    check "a deadline, the clock jumps by $jumped day: after the time that was given" \
        jq -e '.deadline_reached and .elapsed_s > 1 and .elapsed_s < 8' out.txt || note <err.txt
done

# ---- before the first price ---------------------------------------------------------

rm -f s.m4a1*
cp planned.m4a1 s.m4a1
jump 0
collect=("${with_jumps[@]}" "$M4A1" collect s.m4a1 --quiet --max-usd 1000
    --simulator "http://127.0.0.1:$SIM_PORT")
"${collect[@]}" >out.txt 2>&1 &
pid=$!
stop_at_exit "$pid"
wait_for 20 sent_more_than 5
jump $((-20000 * DAY))
wait "$pid"
check_equal "in 1972 the run sends nothing more" $? 3
check "and says why" grep -q 'llm cloud: it has no price for 197.*set the clock' out.txt || note <out.txt
check_equal "no attempt was sent without a reservation" "$(count 'attempt WHERE reserved_pusd IS NULL')" 0
check_equal "none failed" "$(count "attempt WHERE status <> 'ok'")" 0
check_status 1 "a run that begins there is refused" "${collect[@]}"
check_output "for want of a price" 'no price is known for today'
jump 0
stop_simulator
start_simulator --seed 5 --time-scale 0 || exit 1
check "with the clock set the next run finishes the plan" \
    "$M4A1" collect s.m4a1 --quiet --max-usd 1000 --simulator "http://127.0.0.1:$SIM_PORT"
check_equal "with every answer once" "$(count response)" "$planned"
done_testing
