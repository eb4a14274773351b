#!/bin/bash
# test_readme.sh - README's tour runs as it stands, command by command.
# tests/run: limit 300
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

mkdir "$WORK/bin" "$WORK/tour" && ln -s "$M4A1" "$WORK/bin/m4a1"
PATH=$WORK/bin:$PATH
cd "$WORK/tour" || exit 1

# The block behind the mark, without comments; the port is one that is free.
start_simulator --time-scale 0.02 --faults 0.02 || exit 1
awk '/<!-- tour/ { wanted = 1 } wanted && /^```$/ { exit } inside { print } wanted && /^```sh/ { inside = 1 }' \
    "$ROOT/README.md" | grep -v -e '^#' -e '^$' | sed "s/8089/$SIM_PORT/" >"$WORK/tour.sh"
check "README has a tour" test "$(wc -l <"$WORK/tour.sh")" -gt 10

while IFS= read -r line; do
    case $line in
    *'&' | *sim*=* | *'$sim'*) ;; # the server, which runs already
    *) check "$line" bash -c "$line" ;;
    esac
done <"$WORK/tour.sh"

if [ -n "$SHARED" ]; then
    check "the authors' file comes in" m4a1 import m4a1.m4a1 "$SHARED/data/m4a1_public.json"
    check "and goes out" m4a1 export m4a1.m4a1 back.json
    check "trace looks inside" m4a1 trace "$SHARED/data/m4a1_public.json" --as-published \
        --session 0 --actions 0,3,8 --rules eval
else
    skip "the authors' file" "the shared material is missing"
fi
done_testing
