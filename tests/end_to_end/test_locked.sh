#!/bin/bash
# test_locked.sh - others at the same store: a second collector, by whatever name it opens
# the file, and programs that hold the database, for a moment and for long.
# tests/run: limit 240
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

cd "$WORK" || exit 1
sql() { sqlite3 -readonly s.m4a1 "$1"; }
count() { sql "SELECT count(*) FROM $1"; }
sent_more_than() { [ "$(count attempt)" -gt "$1" ]; }
seen() { curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" | jq .requests.seen; }

# hold: another program holds the database from now on, until let_go.
hold()
{
    rm -f held fifo
    mkfifo fifo
    sqlite3 -cmd '.timeout 5000' s.m4a1 <fifo >holder.txt 2>&1 &
    holder=$!
    stop_at_exit "$holder"
    exec 9>fifo
    printf '.bail on\nBEGIN EXCLUSIVE;\n.shell touch held\n' >&9
    wait_for 10 test -e held || note <holder.txt
}

let_go()
{
    echo 'COMMIT;' >&9
    exec 9>&-
    wait "$holder"
}

check "scenes" "$M4A1" demo --scenes scenes --n-scenes 2 --quiet
check "a store" "$M4A1" init s.m4a1 --quiet
check "with scenes" "$M4A1" ingest s.m4a1 scenes --quiet
check "and a plan" "$M4A1" plan s.m4a1 --sessions 30 --fan-out 1 --quiet
planned=$(count call)
start_simulator --seed 5 --time-scale 0.05 || exit 1
options=(--quiet --max-usd 1000 --simulator "http://127.0.0.1:$SIM_PORT")

# ---- two collectors -----------------------------------------------------------------

mkdir folder
ln -s "$WORK" folder/elsewhere
ln -s s.m4a1 link.m4a1
"$M4A1" collect s.m4a1 "${options[@]}" >out.txt 2>&1 &
first=$!
stop_at_exit "$first"
check "a collector is at work" wait_for 30 sent_more_than 10
ln s.m4a1 hard.m4a1
for name in s.m4a1 ./s.m4a1 "$WORK/s.m4a1" link.m4a1 folder/elsewhere/s.m4a1 hard.m4a1; do
    shown=${name/#$WORK/\$WORK}
    check_status 1 "a second one is refused, as $shown" "$M4A1" collect "$name" "${options[@]}"
    check_output "with the first one's process and what to do, as $shown" \
        "(process $first on .*|another process) writes to it; wait until it is done, or stop it"
done
rm hard.m4a1
check_status 1 "so is any other verb that writes" "$M4A1" plan s.m4a1 --sessions 31
check_output "with the same words" "process $first on .* writes to it"
check "verbs that read work meanwhile" "$M4A1" status s.m4a1
check_status 3 "so does a rehearsal" "$M4A1" collect link.m4a1 --rehearse --limit 3 --quiet
check_output "in a copy" '3 of them from this rehearsal'
check "the first is still at work" kill -0 "$first"

# ---- a database that is held for a while, longer than SQLite waits ------------------

hold
check "another program holds the database" test -e held
sleep 14
let_go
wait "$first"
check_equal "the run waits and finishes" $? 0 || note <out.txt
check "and tells what it waits for" \
    grep -q 'warning: .*another program holds the database; close it and try again' out.txt
check_equal "every call has an answer" "$(count response)" "$planned"
check_equal "from one attempt each" "$(count attempt)" "$planned"
check_equal "and the server saw no other request" "$(seen)" "$planned"

# ---- and for as long as the user has patience ---------------------------------------

check "more is planned" "$M4A1" plan s.m4a1 --sessions 60 --quiet
planned=$(count call)
before=$(count attempt)
"$M4A1" collect s.m4a1 "${options[@]}" --grace 1 >out.txt 2>&1 &
first=$!
stop_at_exit "$first"
check "a collector is at work again" wait_for 30 sent_more_than $((before + 10))
hold
check "another program holds it again" test -e held
sleep 1
kill -TERM "$first"
wait "$first"
check_equal "the run is told to end, and fails" $? 1
check "for want of the database" grep -q '^m4a1 collect: .*another program holds the database' out.txt
check "it says where the answers in flight are" \
    grep -qE '[0-9]+ answers that were in flight are kept in .*s\.m4a1\.reserve' out.txt
note <out.txt
check_status 1 "meanwhile the next run cannot begin" "$M4A1" collect s.m4a1 "${options[@]}"
check_output "for the same reason" 'another program holds the database'
check "the answers stay in the reserve" test -s s.m4a1.reserve
kept=$(sed -n 's/.* \([0-9]*\) answers that were in flight.*/\1/p' out.txt)
let_go
check "then it goes on" "$M4A1" collect s.m4a1 "${options[@]}"
check_output "with the answers that were kept" "^$kept answers that an earlier run had kept"
check_equal "every call has an answer, again" "$(count response)" "$planned"
check_equal "from one attempt each, again" "$(count attempt)" "$planned"
check_equal "and the server saw no request twice" "$(seen)" "$planned"
check "the store holds every invariant" "$M4A1" check s.m4a1 --quiet
check_equal "the reserve is gone" "$(find . -name '*.reserve' | wc -l)" 0

# ---- a second name of the file, beside which SQLite looks for no log ----------------

ln s.m4a1 hard.m4a1
check_status 1 "a file with two names is not written to" "$M4A1" collect hard.m4a1 "${options[@]}"
check_output "and the message says why" 'has 2 names \(hard links\).*remove the others'
check "but read" "$M4A1" status hard.m4a1
rm hard.m4a1
check "with one name again it is" "$M4A1" collect s.m4a1 "${options[@]}"
done_testing
