#!/bin/bash
# test_annotate.sh - judgements with the program: a few first, then the rest.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1
command -v sqlite3 >/dev/null || skip_all "the sqlite3 program is not installed"

store=$WORK/a.m4a1
sql() { sqlite3 -batch -noheader "$store" "$1"; }
attempts() { sql "SELECT count(*) FROM attempt JOIN call USING (call_id) WHERE purpose = 'judge'"; }

{
    "$M4A1" init "$store" && "$M4A1" demo --scenes scenes &&
        "$M4A1" ingest "$store" scenes && "$M4A1" plan "$store" --sessions 6 --fan-out 1
} >/dev/null 2>&1 || exit 1
start_simulator --time-scale 0 || exit 1
sim=http://127.0.0.1:$SIM_PORT
"$M4A1" collect "$store" --simulator "$sim" --quiet >/dev/null 2>&1 || exit 1

check_status 2 "a limit is a number" "$M4A1" annotate "$store" --simulator "$sim" --limit some
check_status 2 "of 1 at least" "$M4A1" annotate "$store" --simulator "$sim" --limit 0
check_equal "nothing was asked" "$(attempts)" 0
check_status 3 "some judgements" "$M4A1" annotate "$store" --simulator "$sim" --quiet --limit 3
check_output "that there are more is said" 'Stopped at --limit'
check_output "with what they gave" '3 answers got a score'
check_equal "no more than these were asked" "$(attempts)" 3
check_status 3 "some more, as JSON" "$M4A1" annotate "$store" --simulator "$sim" --quiet --limit 2 --json
check_output "which says it, too" '"limit_reached": true'
check_equal "the limit is that of one run" "$(attempts)" 5
check "the rest" "$M4A1" annotate "$store" --simulator "$sim" --quiet --limit 1000000
check_no_output "of which nothing stopped at it" 'Stopped at --limit'
check_equal "every answer is scored or has a reason" \
    "$(sql "SELECT count(*) FROM answer a JOIN call c USING (call_id) WHERE c.purpose IN ('path', 'fan_out')
        AND NOT EXISTS (SELECT 1 FROM score s WHERE s.response_id = a.response_id AND scorer = 'ratio')")" 0

done_testing
