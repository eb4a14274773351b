#!/usr/bin/env bash
# docs/store.md names every table, view and column of the store, and no other.
set -u
. "$(dirname "$0")/../support/tap.sh"

cd "$WORK" || exit 1
"$M4A1" init s.m4a1 --quiet >/dev/null || exit 1
sqlite3 s.m4a1 "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'answer'" |
    sort >schema.txt
awk '/^### / { table = $2 } /^\| [a-z_0-9]+ \|/ && $2 != "column" { print table "." $2 }' \
    "$ROOT/docs/store.md" | sort >docs.txt
check "the store has columns to compare" test -s schema.txt
check "docs/store.md tells every column, and no other" diff schema.txt docs.txt
done_testing
