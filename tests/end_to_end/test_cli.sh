#!/bin/bash
# test_cli.sh - the command line itself: help that teaches, and mistakes that are named.
. "$(dirname "$0")/../support/tap.sh"

check "--version" "$M4A1" --version
check_output "it says name and number" '^m4a1 [0-9]+\.[0-9]+\.[0-9]+'

check "--help" "$M4A1" --help
check_output "it says how to go on" 'm4a1 VERB --help'
check_output "it points to the demo" 'm4a1 demo'
cp "$TAP_OUT" "$WORK/help"
# A verb's line is "  name   summary"; a group's head starts at the margin.
mapfile -t verbs < <(sed -n 's/^  \([a-z][a-z]*\)  *[A-Za-z].*/\1/p' "$WORK/help")
want="demo doctor init ingest import plan collect simulate annotate status stats show rederive check split export
    train evaluate trace"
for verb in $want; do
    check "--help lists $verb" grep -q "^  $verb " "$WORK/help"
done
line_of()
{
    grep -n "^$1" "$WORK/help" | head -n 1 | cut -d: -f1
}
check "groups follow the data flow" test \
    "$(line_of Start) $(line_of Collect) $(line_of Curate) $(line_of Train)" = \
    "$(printf '%s\n' "$(line_of Start)" "$(line_of Collect)" "$(line_of Curate)" \
        "$(line_of Train)" | sort -n | paste -sd ' ')"
printf '%s ' "${verbs[@]}" >"$WORK/order"
check "verbs follow the data flow" grep -Eq \
    'init .*ingest .*plan .*collect .*annotate .*split .*export .*train .*evaluate ' "$WORK/order"

check "without arguments it prints the same" "$M4A1"
check_equal "word for word" "$(cat "$TAP_OUT")" "$(cat "$WORK/help")"
check "-h does, too" "$M4A1" -h

for verb in "${verbs[@]}"; do
    if check "$verb --help" "$M4A1" "$verb" --help; then
        cp "$TAP_OUT" "$WORK/verb"
        check_output "$verb --help says how it is used" "m4a1 $verb"
        # A usage line and at least one example, each with the verb.
        check "$verb --help has an example" \
            test "$(grep -cE "(^|[^a-z])m4a1 $verb( |\$|\`)" "$WORK/verb")" -ge 2
    fi
    check_status 2 "$verb refuses an option that it does not have" "$M4A1" "$verb" --no-such-option
    check_output "$verb names the option" 'no-such-option'
done

check_status 2 "an unknown verb is a usage error" "$M4A1" colect
check_output "the nearest verb is named" "did you mean .collect"
check_status 2 "a verb near to nothing is a usage error" "$M4A1" xyzzyplugh
check_no_output "and nothing is suggested" "did you mean"
check_status 2 "an unknown option is a usage error" "$M4A1" train "$WORK/a.store" --sed 1
check_output "the nearest option is named" "--seed"
check_status 2 "an option without its value is a usage error" "$M4A1" train "$WORK/a.store" --seed
check_status 2 "a number that is none is a usage error" "$M4A1" train "$WORK/a.store" --seed=many
check_output "it says what was given" "many"
check_status 2 "a missing argument is a usage error" "$M4A1" status
check_output "it says which" "STORE|DATA"
check_status 2 "an argument too many is a usage error" "$M4A1" status a b c d
check_status 1 "a store that is not there is a failure, not a usage error" \
    "$M4A1" status "$WORK/nosuch.store"
check_output "the error names the file" "nosuch\.store"
check "nothing was created" test ! -e "$WORK/nosuch.store"
# what cannot be printed is an error
for command in --help --version "init --print-recipe" "plan --help"; do
    if [ ! -c /dev/full ]; then # a file of that name is no full disk
        skip "m4a1 $command on a full disk fails" "/dev/full is not the device"
        continue
    fi
    # shellcheck disable=SC2086
    check_status 1 "m4a1 $command on a full disk fails" bash -c "'$M4A1' $command >/dev/full"
done

done_testing
