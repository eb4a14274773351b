#!/bin/bash
# test_layout.sh - scripts/check-layout finds each kind of mistake, in a small tree.
. "$(dirname "$0")/../support/tap.sh"

tree=$WORK/tree
for room in annotate collectors export m4a1/base m4a1/http m4a1/tmo m4a1/simulate m4a1/serve \
    m4a1/cli schema tests/schema scripts; do
    mkdir -p "$tree/$room"
done
cp "$ROOT/scripts/check-layout" "$tree/scripts"

# file PATH LINE...: write one, with its first line.
file()
{
    local path=$1
    shift
    { echo "/* $(basename "$path") - a test. */"; printf '%s\n' "$@"; } >"$tree/$path"
}

# finds NAME REGEX: one mistake is found, and no other.
finds()
{
    check_status 1 "$1" "$tree/scripts/check-layout"
    check_output "$1: named" "$2"
    check_equal "$1: alone" "$(wc -l <"$TAP_OUT")" 1
}

file m4a1/base/text.h '#ifndef M4A1_BASE_TEXT_H' '#define M4A1_BASE_TEXT_H' '#endif'
file schema/query.h '#ifndef SCHEMA_QUERY_H' '#endif'
file schema/query.c '#include <sqlite3.h>' '#include <string.h>' '#include "schema/query.h"'
file m4a1/cli/main.c '#include "schema/query.h"' 'int f(void) { puts("hello"); exit(0); }'
file tests/schema/test_query.c '#include <sqlite3.h>' '#include "schema/query.h"' 'printf("x");'
check "a tree without mistakes" "$tree/scripts/check-layout"
check_equal "nothing is said" "$(cat "$TAP_OUT")" ""

file m4a1/base/up.c '#include "schema/query.h"'
finds "a lower floor includes a higher one" 'm4a1/base/up.c:2: .*schema/query.h'
rm "$tree/m4a1/base/up.c"

file m4a1/simulate/server.h '#ifndef M4A1_SIMULATE_SERVER_H'
file m4a1/serve/router.c '#include "m4a1/simulate/server.h"'
finds "rooms of floor 5 include each other" 'router.c:2: .*nothing of each other'
rm "$tree/m4a1/serve/router.c" "$tree/m4a1/simulate/server.h"

file export/a.c '#include "query.h"'
finds "an include that is not from the root" 'export/a.c:2: .*not a path from the root'
file export/a.c '#include "schema/nosuch.h"'
finds "an include of what is not there" 'schema/nosuch.h'
file export/a.c '#include "../schema/query.h"'
finds "an include through the parent" 'not a path from the root'
file export/a.c '#include <sqlite3.h>'
finds "a library included by a stranger" '<sqlite3.h> is for schema only'
file export/a.c '#include <lua.h>'
finds "a library without an owner" '<lua.h> has no owner'
file export/a.c 'void f(void) { printf("x"); }'
finds "the library prints" 'export/a.c:2: the library neither prints nor exits'
file export/a.c 'void f(void) { snprintf(b, 2, "x"); store_exit(); }'
check "snprintf is not printing" "$tree/scripts/check-layout"
file export/query.c ''
finds "a name is used twice" 'query.c is taken by'
rm "$tree/export/query.c"
echo 'int x;' >"$tree/export/a.c"
finds "the first line does not say what the file is for" 'export/a.c:1: the first line'
rm "$tree/export/a.c"
file export/a.h '#ifndef A_H'
finds "a guard that does not follow the path" 'A_H instead of EXPORT_A_H'
rm "$tree/export/a.h"
mkdir "$tree/m4a1/attic"
file m4a1/attic/a.c ''
finds "a room that has no floor" 'm4a1/attic has no floor'
done_testing
