#!/bin/bash
# test_full_disk.sh - a disk that fills up in the middle of a run, on a small tmpfs: a clear
# error, and the next run goes on without asking anything twice.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

disk=$WORK/disk
mkdir "$disk"
mount -t tmpfs -o size=12m m4a1-test "$disk" 2>/dev/null ||
    skip_all "this user may not mount a tmpfs"
trap 'umount -l "$disk" 2>/dev/null; tap_cleanup' EXIT

cd "$WORK" || exit 1
store=$disk/s.m4a1
sql() { sqlite3 -readonly "$store" "$1"; }
sent() { sqlite3 -readonly "$store" 'SELECT count(*) FROM attempt' 2>/dev/null; }
some_were_sent() { [ "$(sent)" -gt 30 ]; }

check "scenes" "$M4A1" demo --scenes scenes --n-scenes 2 --quiet
check "a store on the small disk" "$M4A1" init "$store" --quiet
check "with scenes" "$M4A1" ingest "$store" scenes --quiet
check "and a plan" "$M4A1" plan "$store" --sessions 60 --fan-out 2 --quiet
planned=$(sql 'SELECT count(*) FROM call')
start_simulator --seed 5 --time-scale 0.03 || exit 1
collect=("$M4A1" collect "$store" --quiet --simulator "http://127.0.0.1:$SIM_PORT"
    --max-usd 1000 --in-flight 8)

"${collect[@]}" >out.txt 2>err.txt &
pid=$!
stop_at_exit "$pid"
check "it collects" wait_for 30 some_were_sent
check "its reserve is there" test -s "$store.reserve"
dd if=/dev/zero of="$disk/filler" bs=64k 2>/dev/null # until nothing is left
wait "$pid"
check_equal "it fails when the disk is full" $? 1
check "and says so" grep -qE 'disk .*is full|file system refused' err.txt
note <err.txt
rm "$disk/filler"
check "the store is whole" "$M4A1" check "$store" --quiet
check "the next run goes on" "${collect[@]}"
check_equal "every call has an answer" "$(sql 'SELECT count(*) FROM response')" "$planned"
check_equal "and one only" "$(sql 'SELECT count(DISTINCT call_id) FROM response')" "$planned"
check_equal "nothing was lost and asked again" \
    "$(sql "SELECT count(*) FROM attempt WHERE status = 'unknown'")" 0
check_equal "the server saw each attempt once" \
    "$(curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" | jq .requests.seen)" \
    "$(sql 'SELECT count(*) FROM attempt')"
check_equal "the reserve is gone" "$(find "$disk" -name '*.reserve' | wc -l)" 0
check "and the store holds every invariant" "$M4A1" check "$store" --quiet
done_testing
