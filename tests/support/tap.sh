# shellcheck shell=bash
# tap.sh - the little that every end-to-end test needs; source it as the first thing:
#
#     . "$(dirname "$0")/../support/tap.sh"
#     check "a store is created" "$M4A1" init "$WORK/a.store"
#     check_status 2 "an unknown verb is refused" "$M4A1" nosuch
#     check_output "it is named" 'unknown verb'
#     done_testing
#
# It sets  ROOT    the project's root
#          M4A1    the program under test, as an absolute path (default build/m4a1)
#          SHARED  the folder of shared material ($M4A1_SHARED, else ../shared), or nothing
#          WORK    a scratch folder of this script, removed at its end
# Servers started with start_simulator, and processes added with stop_at_exit, are stopped
# at the end, however it comes.  A script that ends without done_testing or plan has no
# plan, and tests/run calls that a failure.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
M4A1=${M4A1:-$ROOT/build/m4a1}
case $M4A1 in
/*) ;;
*) M4A1=$PWD/$M4A1 ;;
esac
SHARED=${M4A1_SHARED:-$ROOT/../shared}
if [ -d "$SHARED" ]; then
    SHARED=$(cd "$SHARED" && pwd)
else
    SHARED=
fi
WORK=$(mktemp -d "${TMPDIR:-/tmp}/m4a1-test.XXXXXX") || exit 1
export M4A1

tap_n=0
tap_failed=0
tap_planned=
tap_pids=()
TAP_OUT=$WORK/.tap-output # standard output and error of the last check

tap_cleanup()
{
    local pid
    for pid in "${tap_pids[@]}"; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    rm -rf "$WORK"
}
trap tap_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Lines of talk, as TAP comments.  Without arguments: from standard input.
note()
{
    if [ $# -gt 0 ]; then
        printf '%s\n' "$*" | sed 's/^/# /'
    else
        sed 's/^/# /'
    fi
}

# ok NAME / not_ok NAME [WHY]: one result.
ok()
{
    tap_n=$((tap_n + 1))
    printf 'ok %d - %s\n' "$tap_n" "$1"
}

not_ok()
{
    tap_n=$((tap_n + 1))
    tap_failed=$((tap_failed + 1))
    printf 'not ok %d - %s\n' "$tap_n" "$1"
    [ $# -lt 2 ] || note "$2"
}

# skip NAME WHY: one result that could not be had.  Say "shared material" in WHY when that is
# what is missing: tests/run fails such a skip where the material is there.
skip()
{
    tap_n=$((tap_n + 1))
    printf 'ok %d - %s # SKIP %s\n' "$tap_n" "$1" "$2"
}

# skip_all WHY: nothing in this script can run.
skip_all()
{
    printf '1..0 # SKIP %s\n' "$1"
    exit 0
}

# check NAME COMMAND...: passes when the command succeeds; on failure its output is shown.
# What it printed, on both streams, stays in $TAP_OUT for check_output.
check()
{
    local name=$1
    shift
    check_status 0 "$name" "$@"
}

# check_status N NAME COMMAND...: passes when the command's exit status is N.
check_status()
{
    local want=$1 name=$2 got=0
    shift 2
    "$@" >"$TAP_OUT" 2>&1 </dev/null || got=$?
    if [ "$got" -eq "$want" ]; then
        ok "$name"
    else
        not_ok "$name" "exit status $got instead of $want from: $*"
        head -c 20000 "$TAP_OUT" | tail -n 40 | note
        return 1
    fi
}

# check_output NAME REGEX: what the last check printed has a line that matches (grep -E).
check_output()
{
    if grep -Eq -e "$2" "$TAP_OUT"; then
        ok "$1"
    else
        not_ok "$1" "no line matches: $2"
        tail -n 40 "$TAP_OUT" | note
        return 1
    fi
}

# check_no_output NAME REGEX: no line of what the last check printed matches.
check_no_output()
{
    if grep -Eq -e "$2" "$TAP_OUT"; then
        not_ok "$1" "a line matches: $2"
        grep -E -e "$2" "$TAP_OUT" | head -n 10 | note
        return 1
    else
        ok "$1"
    fi
}

# check_equal NAME GOT WANTED: compares two strings.
check_equal()
{
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1" "got \"$2\" instead of \"$3\""
        return 1
    fi
}

# plan N: at the start, when the number is known.  done_testing: at the end, otherwise.
plan()
{
    tap_planned=$1
    printf '1..%d\n' "$1"
}

done_testing()
{
    [ -n "$tap_planned" ] || printf '1..%d\n' "$tap_n"
    [ "$tap_failed" -eq 0 ]
    exit
}

# stop_at_exit PID: a process of the test's own that must not outlive it.
stop_at_exit()
{
    tap_pids+=("$1")
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails when time is up.
wait_for()
{
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# start_simulator [OPTION...]: runs `m4a1 simulate` on a free port and sets SIM_PORT, SIM_PID
# and SIM_LOG.  stop_simulator ends the last one.
start_simulator()
{
    local file
    file=$(mktemp -u "$WORK/.simulator.XXXXXX")
    SIM_LOG=$file.log
    "$M4A1" simulate --port 0 --port-file "$file" "$@" >"$SIM_LOG" 2>&1 </dev/null &
    SIM_PID=$!
    stop_at_exit "$SIM_PID"
    if ! wait_for 20 test -s "$file"; then
        note "the simulator did not start:"
        tail -n 20 "$SIM_LOG" | note
        return 1
    fi
    # shellcheck disable=SC2034
    SIM_PORT=$(cat "$file")
}

stop_simulator()
{
    kill "$SIM_PID" 2>/dev/null
    wait "$SIM_PID" 2>/dev/null
    local pid rest=()
    for pid in "${tap_pids[@]}"; do
        [ "$pid" = "$SIM_PID" ] || rest+=("$pid")
    done
    tap_pids=("${rest[@]}")
}
