#!/bin/bash
# test_stats.sh - coverage tells which cells are empty, and leaves out those that cannot be.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1
command -v python3 >/dev/null || skip_all "python3 is not installed"
"$M4A1" demo --scenes scenes >/dev/null 2>&1 || exit 1

# planned NAME SED: a store of planned sessions, after the M4A1 recipe as SED changes it.
planned()
{
    "$M4A1" init --print-recipe | sed "$2" >"$1.jsonc"
    check "$1: a plan" bash -c "'$M4A1' init $1.m4a1 --recipe $1.jsonc &&
        '$M4A1' ingest $1.m4a1 scenes && '$M4A1' plan $1.m4a1 --sessions 4"
}

# cells NAME TASK LLM: the sets of views that are cells of its row.
cells()
{
    "$M4A1" stats coverage "$1.m4a1" --json | python3 -c '
import json, sys
row, = (r for r in json.load(sys.stdin)["cells"] if [r["task"], r["llm"]] == sys.argv[1:])
print(*row["views"])' "$2" "$3"
}

planned all ''
check_equal "a local llm that uploads nothing has one cell" "$(cells all Query local)" "none"
check_equal "every subset may be added" "$(cells all Query cloud)" "none 0 1 2 0+1 0+2 1+2 0+1+2"
check "coverage" "$M4A1" stats coverage all.m4a1
check_output "names what is counted" '^[0-9]+ of 36 possible cells are empty'
check_output "and the views" 'those that image_index lists .0 first_person, 1 side, 2 overhead'
check_no_output "claims no upload" 'upload'
check_no_output "leaves the tables of cells out" '^task +llm +none'
check_equal "and all but 20 thin cells" "$(grep -c '^  .* of [0-9]*, ' "$TAP_OUT" | awk '{print ($1 <= 20)}')" 1
check_output "saying how many more there are" '^  and [0-9]+ more \(--all\)'
check "all of it" "$M4A1" stats coverage all.m4a1 --all
check_output "has the tables" '^task +llm +none'
check_no_output "and every thin cell" 'more \(--all\)'
check "latencies before anything was asked" "$M4A1" stats latency all.m4a1
check_equal "are one line" "$(wc -l <"$TAP_OUT")" 1
check "so is drift" "$M4A1" stats drift all.m4a1
check_equal "in one line" "$(wc -l <"$TAP_OUT")" 1
check_status 1 "a file that is not there" "$M4A1" stats drift nosuch.m4a1
check_output "is said so" 'no such file'
check "cost" "$M4A1" stats cost all.m4a1
check_output "has a total" '^total '
check_output "and the reference" '^reference  *reference'
check_status 2 "--all is of coverage" "$M4A1" stats cost all.m4a1 --all
check_status 2 "--min-n is of latency" "$M4A1" stats cost all.m4a1 --min-n 3

planned listed 's/"\*": "all_subsets".*/"*": ["", "overhead", "first_person+side"]/'
check_equal "listed sets, and what they add up to" "$(cells listed Query cloud)" "none 2 0+1 0+1+2"
check "fewer cells" "$M4A1" stats coverage listed.m4a1
check_output "are possible" '^[0-9]+ of 20 possible cells are empty'

planned single 's/"slots": 8, "accepts": {"image": 3}/"slots": 8, "accepts": {"image": 1}/
    s/"role": "reference", "like": "cloud"/&, "accepts": {"image": 3}/
    s/"role": "judge", "like": "cloud"/&, "accepts": {"image": 3}/'
check_equal "one image a request" "$(cells single Query cloud)" "none 0 1 2"

# An imported file says nothing of what may be added.
cat >small.json <<'JSON'
[{"id": 1, "image_paths": ["k/a.jpg", "k/b.jpg"], "interactions": [
   {"question": "What?", "task_cat": "Query", "action": 1, "image_index": [1, 0], "answer": "Bread.",
    "score": 1, "interaction_time": 2.5, "usage_cost": 0}], "association_score": [[0.1, 0.1]]}]
JSON
"$M4A1" import im.m4a1 small.json >/dev/null || exit 1
check_equal "all sets are possible" "$(cells im Query cloud)" "none 0 1 0+1"
done_testing
