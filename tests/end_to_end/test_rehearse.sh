#!/bin/bash
# test_rehearse.sh - collect --rehearse: the plan against the simulator, in a copy; the
# store stays as it is, and no key is needed.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

command -v sqlite3 >/dev/null || skip_all "the sqlite3 program is not installed"

store=$WORK/a.m4a1
kept=$WORK/kept.m4a1
sql() { sqlite3 -batch -noheader "$1" "$2"; }
digest() { sha256sum <"$store"; }
copies() { find "$WORK" -name '*rehearsal*' | wc -l; }

unset OPENAI_API_KEY
check "scenes are drawn" "$M4A1" demo --scenes "$WORK/scenes" --quiet
check "a store is made" "$M4A1" init "$store" --recipe m4a1
check "scenes are put in" "$M4A1" ingest "$store" "$WORK/scenes" --quiet
check "sessions are planned" "$M4A1" plan "$store" --sessions 12 --quiet
planned=$(sql "$store" 'SELECT count(*) FROM call')
before=$(digest)

check "a plan is rehearsed without keys" "$M4A1" collect "$store" --rehearse --quiet
check_output "with calls by llm" '^reference +[0-9]+ +0 '
check_output "with all calls answered" "^$planned of $planned calls have an answer in the copy"
check_output "with dollars and a time" '^\$[0-9.]+ at the recipe.s prices, about .*(s|min|h)'
check_equal "the store is as it was" "$(digest)" "$before"
check_equal "no copy is left" "$(copies)" 0
check_equal "no attempt is in the store" "$(sql "$store" 'SELECT count(*) FROM attempt')" 0

check "the copy is kept on request" "$M4A1" collect "$store" --rehearse --keep "$kept" --quiet
check_equal "with all answers" "$(sql "$kept" 'SELECT count(*) FROM response WHERE simulated')" "$planned"
check "it is a sound store" "$M4A1" check "$kept" --quiet
check_status 1 "a file that is there is not overwritten" \
    "$M4A1" collect "$store" --rehearse --keep "$kept"
check_output "and is named" 'kept\.m4a1 is there already'

check_status 3 "a rehearsal with a limit" "$M4A1" collect "$store" --rehearse --limit 5 --json --quiet
check_output "as JSON" '"rehearsal": \{'
check_output "has the hours" '"hours": [0-9.e-]+'
check_output "and the limit" '"limit_reached": true'
check_status 3 "a cap holds in a rehearsal, too" "$M4A1" collect "$store" --rehearse --max-usd 0.01 --quiet
check_output "and is told" 'cap would stop the real run'

check_status 2 "a simulator of one's own is for a real run" \
    "$M4A1" collect "$store" --rehearse --simulator http://127.0.0.1:1
check_status 2 "--keep without --rehearse" "$M4A1" collect "$store" --keep "$WORK/x"
check_status 1 "a store that is not there" "$M4A1" collect "$WORK/none.m4a1" --rehearse

# It may run while someone else writes, and leaves nothing behind when it is stopped.
"$M4A1" collect "$store" --rehearse --time-scale 2 --quiet >"$WORK/out" 2>&1 &
pid=$!
stop_at_exit "$pid"
# shellcheck disable=SC2317
under_way() { [ "$(copies)" -gt 0 ]; }
wait_for 10 under_way
sleep 0.3
check "another process writes meanwhile" "$M4A1" plan "$store" --sessions 14 --quiet
kill -INT "$pid"
wait "$pid"
check_equal "a rehearsal that is interrupted says so" $? 130
check_equal "and leaves no copy" "$(copies)" 0
check_equal "nor an attempt in the store" "$(sql "$store" 'SELECT count(*) FROM attempt')" 0

done_testing
