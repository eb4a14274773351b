#!/bin/bash
# test_runner.sh - tests/run itself: what must count as a failure does.
. "$(dirname "$0")/../support/tap.sh"

tree=$WORK/tree
mkdir -p "$tree/tests/end_to_end" "$tree/build"
cp "$ROOT/tests/run" "$tree/tests/run"
export M4A1_SHARED=$WORK/absent

# script NAME: the lines on standard input become a test.
script()
{
    cat >"$tree/tests/end_to_end/test_$1.sh"
}

# sums STATUS NAME LINE: run the one test; its sum is LINE.
sums()
{
    check_status "$1" "$2" "$tree/tests/run" "test_$topic."
    check_equal "$2: the sum" "$(tail -n 1 "$TAP_OUT")" "$3"
}

topic=good
script good <<'T'
echo 1..3; echo ok 1 - a; echo "ok 2 - b # SKIP no network"; echo ok 3 - c
T
sums 0 "all is well" "2 passed, 0 failed, 1 skipped"
check_output "the reason of a skip is listed" '^ +1  no network$'
check_output "the program counts as run" '^ok    tests/end_to_end/test_good.sh'

topic=bad
script bad <<'T'
echo 1..2; echo ok 1 - a; echo not ok 2 - b; echo "# the reason"; echo "to stderr" >&2
T
sums 1 "one result is not ok" "1 passed, 1 failed, 0 skipped"
check_output "its output is shown" 'not ok 2 - b'
check_output "standard error, too" '! to stderr'

topic=short
script short <<'T'
echo 1..3; echo ok 1 - a
T
sums 1 "results are missing" "1 passed, 2 failed, 0 skipped"

topic=unplanned
script unplanned <<'T'
echo ok 1 - a
T
sums 1 "there is no plan" "1 passed, 1 failed, 0 skipped"

topic=crash
script crash <<'T'
echo ok 1 - a; echo 1..1; kill -SEGV $$
T
sums 1 "it crashes after the last result" "1 passed, 1 failed, 0 skipped"
check_output "the signal is named" 'signal 11'

topic=status
script status <<'T'
echo ok 1 - a; echo 1..1; exit 3
T
sums 1 "its exit status is not 0" "1 passed, 1 failed, 0 skipped"

topic=slow
script slow <<'T'
# tests/run: limit 1
echo 1..1; sleep 30; echo ok 1 - a
T
sums 1 "it takes too long" "0 passed, 1 failed, 0 skipped"

topic=left
script left <<'T'
sleep 30 >/dev/null 2>&1 & echo ok 1 - a; echo 1..1
T
sums 1 "it leaves a process" "1 passed, 1 failed, 0 skipped"

topic=sanitizer
script sanitizer <<'T'
path=${ASAN_OPTIONS#*log_path=}; echo leak >"${path%%:*}.1"; echo ok 1 - a; echo 1..1
T
sums 1 "a sanitizer reports from a process whose status nobody looked at" \
    "1 passed, 1 failed, 0 skipped"

topic=cmocka
script cmocka <<'T'
echo 1..2; echo "the shared material is missing"; echo "not ok 1 # SKIP a"; echo "ok 2 - b"
echo "# ok - group"; echo 1..1; echo "ok 1 - c"; echo "# ok - second group"
T
sums 0 "cmocka's way to skip, and two groups" "2 passed, 0 failed, 1 skipped"
mkdir "$M4A1_SHARED"
sums 1 "the shared material is there, and the skip says it is not" \
    "2 passed, 1 failed, 0 skipped"
rmdir "$M4A1_SHARED"

topic=setup
script setup <<'T'
echo 1..2; echo "not ok 0 - group [  FAILED  ] GROUP SETUP"; echo "# ok - group"
T
sums 1 "cmocka's group set-up fails" "0 passed, 3 failed, 0 skipped"

topic=all
script all <<'T'
echo "1..0 # SKIP no ffmpeg here"
T
sums 0 "a script skips everything" "0 passed, 0 failed, 1 skipped"
check_output "and is not called ok" '^skip  tests/end_to_end/test_all.sh'
check_output "it is said what to do" 'no ffmpeg here: .make setup-test'

topic=reasons
script reasons <<'T'
echo 1..5; echo "ok 1 - a # SKIP shared material is absent"; echo "ok 2 - b # SKIP no shared golden/tmo"
echo "ok 3 - c # SKIP no network"; echo "ok 4 - d # SKIP no network"; echo ok 5 - e
T
sums 0 "several skips" "1 passed, 0 failed, 4 skipped"
check_output "one reason, one line" '^ +2  no network$'
check_output "all that want the shared material are one reason" '^ +2  .*M4A1_SHARED'
check_no_output "whatever they say of it" 'golden'

topic=nosuch
sums 1 "no test at all" "0 passed, 0 failed, 0 skipped"

rm "$tree"/tests/end_to_end/*
for i in 1 2 3 4 5; do
    echo "echo ok 1 - a; echo 1..1" | script "many_$i"
done
check "many at once" "$tree/tests/run"
check_equal "many at once: the sum" "$(tail -n 1 "$TAP_OUT")" "5 passed, 0 failed, 0 skipped"
done_testing
