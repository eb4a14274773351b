#!/bin/bash
# test_full_disk.sh - a store that takes no more in the middle of a run: a clear error, no
# answer lost that was in flight, and a next run that asks only what was never sent.  By a
# limit on the size of files everywhere, and on a small full tmpfs where a user may mount
# one (as root, or in a name space of one's own).
# tests/run: limit 240
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

cd "$WORK" || exit 1
sql() { sqlite3 -readonly "$store" "$1"; }
sent() { sqlite3 -readonly "$store" 'SELECT count(*) FROM attempt' 2>/dev/null; }
some_were_sent() { [ "$(sent)" -gt 30 ]; }
seen() { curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" | jq .requests.seen; }

check "scenes" "$M4A1" demo --scenes scenes --n-scenes 2 --quiet
check "a store" "$M4A1" init planned.m4a1 --quiet
check "with scenes" "$M4A1" ingest planned.m4a1 scenes --quiet
check "and a plan" "$M4A1" plan planned.m4a1 --sessions 60 --fan-out 2 --quiet
planned=$(sqlite3 -readonly planned.m4a1 'SELECT count(*) FROM call')

# begin STORE: a simulator of its own, so that it counts this store's requests alone.
begin()
{
    store=$1
    [ -z "${SIM_PID:-}" ] || stop_simulator
    start_simulator --seed 5 --time-scale 0.03 || exit 1
    collect=("$M4A1" collect "$store" --quiet --simulator "http://127.0.0.1:$SIM_PORT"
        --max-usd 1000 --in-flight 8)
}

# What holds after a run that was stopped by a full store.
stopped_well()
{
    check "$1: it says what is wrong" grep -qE 'disk .*is full|file system refused' err.txt
    check "$1: and where the answers in flight are" \
        grep -qE '[0-9]+ answers that were in flight are kept in .*\.reserve' err.txt
    note <err.txt
    check "$1: the store is whole" "$M4A1" check "$store" --quiet
    kept=$(sed -n 's/.* \([0-9]*\) answers that were in flight.*/\1/p' err.txt)
    check_equal "$1: open attempts are those that are kept" \
        "$(sql "SELECT count(*) FROM attempt WHERE status = 'sent'")" "$kept"
}

# What holds after the next run.
went_on_well()
{
    check "$1: the next run goes on" "${collect[@]}"
    check_output "$1: it takes in what was kept" "^$kept answers that an earlier run had kept"
    check_equal "$1: every call has an answer" "$(sql 'SELECT count(*) FROM response')" "$planned"
    check_equal "$1: and one only" "$(sql 'SELECT count(DISTINCT call_id) FROM response')" "$planned"
    check_equal "$1: nothing was lost and asked again" \
        "$(sql "SELECT count(*) FROM attempt WHERE status <> 'ok'")" 0
    check_equal "$1: the server saw each attempt once" "$(seen)" "$(sent)"
    check_equal "$1: the reserve is gone" "$(find "${store%/*}" -name '*.reserve' | wc -l)" 0
    check "$1: and the store holds every invariant" "$M4A1" check "$store" --quiet
}

# ---- a limit on the size of files --------------------------------------------------

# Enough for the reserve, too little for the store's log.  The run that is stopped knows the
# store by another name.
if [ -z "${M4A1_OWN_MOUNTS:-}" ]; then
    mkdir limited
    cp planned.m4a1 limited/s.m4a1
    ln -s limited/s.m4a1 alias.m4a1
    begin limited/s.m4a1
    (
        ulimit -S -f 2200 # KiB
        exec "${collect[@]/#$store/alias.m4a1}"
    ) >out.txt 2>err.txt
    check_equal "files may not grow: the run fails" $? 1
    stopped_well "files may not grow"
    went_on_well "files may not grow"
    stop_simulator
fi

# ---- a full disk -------------------------------------------------------------------

# A mount in a name space of its own is seen by commands inside it only, so the script runs
# itself again there.
disk=$WORK/disk
mkdir disk
if ! mount -t tmpfs -o size=12m m4a1-test "$disk" 2>/dev/null; then
    if [ -z "${M4A1_OWN_MOUNTS:-}" ] && unshare -rm true 2>/dev/null; then
        note "the rest in a name space of its own:"
        M4A1_OWN_MOUNTS=1 unshare -rm bash "$ROOT/tests/end_to_end/test_full_disk.sh" >inner.txt 2>&1
        inner=$?
        note <inner.txt
        check "a full disk, in a name space of its own" test "$inner" -eq 0
    else
        skip "a full disk" "this user may not mount a tmpfs, nor in a name space of its own"
    fi
    done_testing
fi
trap 'umount -l "$disk" 2>/dev/null; tap_cleanup' EXIT

cp planned.m4a1 "$disk/s.m4a1"
begin "$disk/s.m4a1"
"${collect[@]}" >out.txt 2>err.txt &
pid=$!
stop_at_exit "$pid"
check "a full disk: it collects" wait_for 30 some_were_sent
check "a full disk: its reserve is there" test -s "$store.reserve"
dd if=/dev/zero of="$disk/filler" bs=64k 2>/dev/null # until nothing is left
wait "$pid"
check_equal "a full disk: it fails" $? 1
stopped_well "a full disk"

# Collecting again before there is room changes nothing.
before=$(sha256sum <"$store.reserve")
check_status 1 "still full: it fails again" "${collect[@]}"
check_output "still full: and says so" 'disk .*is full|file system refused'
check_equal "still full: the answers stay where they are" "$(sha256sum <"$store.reserve")" "$before"
check_equal "still full: nothing was asked" "$(seen)" "$(sent)"
rm "$disk/filler"
went_on_well "a full disk"

# Without room for a reserve nothing is sent at all.
cp planned.m4a1 "$disk/t.m4a1"
begin "$disk/t.m4a1"
dd if=/dev/zero of="$disk/filler" bs=64k 2>/dev/null
truncate -s -256k "$disk/filler"
check_status 1 "no room: the run is refused" "${collect[@]}"
check_output "no room: with what to do" 'nothing was sent: no room for .*free space'
check_equal "no room: nothing was sent" "$(seen)" 0

# ---- a read-only mount -------------------------------------------------------------

# SQLite alone cannot read it: a reader of a write-ahead log wants to write beside it.
rm -f "$disk/filler" "$disk"/t.m4a1*
mv "$disk/s.m4a1" "$disk/100%a?b#c.m4a1"
rm -f "$disk"/s.m4a1*
"$M4A1" status "$disk/100%a?b#c.m4a1" --json >before.json
rm -f "$disk"/*-wal "$disk"/*-shm # as a copy has none
mount -o remount,ro "$disk"
check "a read-only mount: a store is read" "$M4A1" status "$disk/100%a?b#c.m4a1" --json
check_equal "a read-only mount: as it was" "$(jq -S . "$TAP_OUT")" "$(jq -S . before.json)"
check_status 1 "a read-only mount: nothing is written" "$M4A1" annotate "$disk/100%a?b#c.m4a1"
check_output "a read-only mount: and why" 'read-only|Read-only'
mount -o remount,rw "$disk"
done_testing
