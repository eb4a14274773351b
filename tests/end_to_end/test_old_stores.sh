#!/bin/bash
# test_old_stores.sh - stores written by earlier versions still work.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

cd "$WORK" || exit 1
for fixture in "$ROOT"/tests/fixtures/store_v*.m4a1; do
    name=$(basename "$fixture" .m4a1)
    cp "$fixture" s.m4a1
    rm -rf out
    # a writing verb that has nothing to write still brings the store up to date
    check "$name: opens for writing" "$M4A1" plan s.m4a1 --sessions 0 --quiet
    check "$name: holds every invariant" "$M4A1" check s.m4a1 --quiet
    check_output "$name: and there are many" '^[0-9]+ invariants checked, 0 violations'
    check "$name: status" "$M4A1" status s.m4a1
    check_equal "$name: its version is today's" "$(sqlite3 s.m4a1 'PRAGMA user_version')" \
        "$(find "$ROOT/schema/migrations" -name '*.sql' | wc -l)"
    check "$name: exports" "$M4A1" export s.m4a1 out
    check_equal "$name: with all its turns" \
        "$(jq '[.[].interactions | length] | add' out/m4a1.json)" 17
    check_equal "$name: and all its scores" \
        "$(jq '[.[].interactions[].score | numbers] | length' out/m4a1.json)" 17
done
done_testing
