#!/bin/bash
# test_build.sh - what make promises beside building: banned functions, install, uninstall, help.
. "$(dirname "$0")/../support/tap.sh"
cd "$ROOT" || exit 1

compile()
{
    printf '#include <stdio.h>\n#include <stdlib.h>\nint f(char *s, char *t);\n%s\n' \
        "int f(char *s, char *t) { $2; (void)s; (void)t; return 0; }" |
        "$1" -std=c11 -D_XOPEN_SOURCE=700 -D_DEFAULT_SOURCE -include m4a1/base/banned.h \
            -Wall -Wextra -Wpedantic -Werror -I. -x c -fsyntax-only -
}

for cc in gcc clang; do
    if ! command -v $cc >/dev/null; then
        skip "$cc refuses banned functions" "no $cc here"
        continue
    fi
    check "$cc: a clean file compiles" compile $cc 'struct { int system; } a = { 0 }; (void)a'
    for call in 'strcpy(s, t)' 'strcat(s, t)' 'sprintf(s, "x")' 'atoi(s)' 'strtok(s, t)' 'rand()' \
        'srand(1)' 'system(s)' 'localtime(0)' 'mktemp(s)' 'alloca(9)'; do
        check_status 1 "$cc: $call is an error" compile $cc "(void)$call"
        check_output "$cc: for being banned" 'poisoned|banned'
    done
done

# The program under test is installed, not built again (-o all).
make_it()
{
    env -u MAKEFLAGS make -s -o all BUILD="$(dirname "$M4A1")" DESTDIR="$WORK/root" PREFIX=/opt/m4a1 "$@"
}
check "make install" make_it install
check "the program works from there" "$WORK/root/opt/m4a1/bin/m4a1" --version
check "the licence is there" cmp LICENSE "$WORK/root/opt/m4a1/share/doc/m4a1/LICENSE"
check "and decision 001, where the documents link to it" \
    test -s "$WORK/root/opt/m4a1/share/doc/m4a1/docs/design/001-layout.md"
check "make uninstall" make_it uninstall
check_equal "no file is left" "$(find "$WORK/root" -type f)" ""

check "make help" make_it help
cp "$TAP_OUT" "$WORK/help"
for goal in all setup demo install test asan fuzz check; do
    check "make help tells of $goal" grep -q "make $goal " "$WORK/help"
done
done_testing
