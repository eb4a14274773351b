#!/bin/bash
# Import, status, stats, split and export, as a user runs them.
# tests/run: limit 180
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1

# equal_json A B: the same values in the same order, numbers equal as doubles, bit by bit.
equal_json()
{
    python3 - "$1" "$2" <<'PYTHON'
import json, struct, sys

def bits(x):
    return struct.pack("<d", float(x))

def same(a, b, where):
    if isinstance(a, dict):
        if not isinstance(b, dict) or list(a) != list(b):
            sys.exit(f"{where}: keys {list(a)} became {b if not isinstance(b, dict) else list(b)}")
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list):
        if not isinstance(b, list) or len(a) != len(b):
            sys.exit(f"{where}: a list of {len(a)} became {b!r}")
        for i, (x, y) in enumerate(zip(a, b)):
            same(x, y, f"{where}[{i}]")
    elif isinstance(a, bool) or isinstance(b, bool) or a is None or isinstance(a, str):
        if a != b or type(a) is not type(b):
            sys.exit(f"{where}: {a!r} became {b!r}")
    elif isinstance(b, (int, float)):
        if bits(a) != bits(b):
            sys.exit(f"{where}: {a!r} became {b!r}")
    else:
        sys.exit(f"{where}: {a!r} became {b!r}")

a, b = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:3])
same(a, b, "")
PYTHON
}

# json_value FILE EXPRESSION: prints a value of a JSON document d, as Python sees it.
json_value()
{
    python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' \
        "$1" "$2"
}

# A small file of our own: awkward numbers, an order of views that is not sorted.
cat >small.json <<'JSON'
[{"id": 7, "image_paths": ["k/a.jpg", "k/b.jpg"], "interactions": [
   {"question": "Qu'est-ce que c'est, là?", "task_cat": "Query", "action": 1,
    "image_index": [1, 0], "answer": "Du pain.\n\"Ünïcode\" \\ / \t", "score": 0.30000000000000004,
    "interaction_time": 2.1567187309265137, "usage_cost": 6.75e-05},
   {"question": "More?", "task_cat": "Query", "action": 1, "image_index": null,
    "answer": "I'm sorry.", "score": 9, "interaction_time": 1e22, "usage_cost": 5e-324}],
  "association_score": [[0.19165587425231934, 0.1], [-0.25, 1]]},
 {"id": -3, "image_paths": ["k/c.jpg", "k/d.jpg"], "interactions": [
   {"question": "More?", "task_cat": "Advice", "action": 0, "image_index": null,
    "answer": "", "score": 0, "interaction_time": 0, "usage_cost": 0}],
  "association_score": [[0, 0.12345678901234568]]}]
JSON

check "a small file is imported into a new store" "$M4A1" import small.store small.json
check_output "what was added is counted" '2 sessions with 3 turns are new'
check "the store is sound" "$M4A1" check small.store
check "it is exported as one file" "$M4A1" export small.store back.json
check "which has the same content, bit by bit" equal_json small.json back.json
check "importing again adds nothing" "$M4A1" import small.store small.json
check_output "and says so" '^0 sessions|0 sessions with 0 turns are new'
check "a store, its export and the file have" "$M4A1" stats coverage small.store
check "the same coverage" "$M4A1" stats scores back.json

# Bad files: nothing is made, and the record is named.
sed 's/\[1, 0\]/[1, 7]/' small.json >bad.json
check_status 1 "a view that does not exist is refused" "$M4A1" import new.store bad.json
check_output "with file, session and turn" \
    'bad.json: session 7, turn 0: image_index: expected view indices 0 to 1, found 7'
check_status 1 "and no store is left behind" test -e new.store
sed 's/"score": 9,/"score": NaN,/' small.json >bad.json
check_status 1 "NaN is refused" "$M4A1" import small.store bad.json
head -c 700 small.json >bad.json
sed 's/"k\/b.jpg"/"k\/b.jpg", "k\/b2.jpg"/; s/"k\/d.jpg"/"k\/d.jpg", "k\/d2.jpg"/; s/0\.1\]/0.1, 0]/; s/1\]\]/1, 0]]/; s/68\]\]/68, 0]]/' small.json >three.json
check_status 1 "a file with another number of views is refused" "$M4A1" import small.store three.json
check_output "and says so once" '^m4a1 import: three.json: .*3 views and the store small.store has 2'
check_status 1 "a truncated file is refused" "$M4A1" import small.store bad.json
check_output "with a line" 'bad.json:[0-9]+'
check_status 1 "a file that is not there" "$M4A1" import small.store none.json
check "the store is as it was" "$M4A1" export small.store after.json
check "byte by byte" cmp back.json after.json

# Splits.
check "a split is frozen" "$M4A1" split small.store main --seed 3
check_output "the scenes on both sides are counted" 'scenes on both sides: 0'
check_status 1 "a frozen split is never changed" "$M4A1" split small.store main
check_status 2 "a wrong name is a usage error" "$M4A1" split small.store 'a b'
check_output "that tells the rule" "^m4a1 split: the name 'a b' of a split must be"
check_status 1 "one session is too few" "$M4A1" split "$(
    sed 's/"score": 0,/"score": null,/' small.json >one.json
    "$M4A1" import one.store one.json >/dev/null && echo one.store)" main
check_output "and says so once" '^m4a1 split: one.store has 1 complete session, and a split needs 2'
check_status 2 "a wrong option is a usage error" "$M4A1" split small.store other --by view
check_output "that names the choice" 'session or scene'

# Export folders.
check "a folder is exported" "$M4A1" export small.store out
check_equal "with these files" "$(cd out && find . -type f | sort | tr '\n' ' ')" \
    "./README.md ./m4a1.json ./manifest.json ./splits/main.json "
check "the manifest's hashes are those of the files" bash -c '
    python3 -c "import json
for f in json.load(open(\"out/manifest.json\"))[\"files\"]:
    print(f[\"sha256\"], \" out/\" + f[\"path\"])" | sha256sum --check --quiet'
"$M4A1" init empty.store >/dev/null
check_status 1 "an empty store has nothing to export" "$M4A1" export empty.store none
check_output "and says so once" '^m4a1 export: the store empty.store has no session'
check "counts as JSON" "$M4A1" export small.store counted --json
check_equal "with all of them" "$(json_value "$TAP_OUT" '(d["out"], d["sessions"], d["turns"], d["fan_out"], d["splits"], d["simulated"], d["left_out"]["sessions"])')" \
    "('counted', 2, 3, 0, 1, 0, 0)"
check_status 1 "it is not replaced" "$M4A1" export small.store out
check_output "unless --force is given" '[-][-]force'
check "with --force it is" "$M4A1" export small.store out --force
check "a second export" "$M4A1" export small.store out2
check "has the same bytes" diff -r out out2
mkdir mine && echo precious >mine/file
check_status 1 "a folder of somebody else is never replaced" \
    "$M4A1" export small.store mine --force
check_equal "and stays as it is" "$(cat mine/file)" precious
check "the folder is read as a data set" "$M4A1" stats coverage out
check_status 2 "an unknown format is a usage error" "$M4A1" export small.store x --format hdf5
check_status 2 "an unknown topic too" "$M4A1" stats covrage out
check_output "with the nearest name" 'did you mean coverage'

# Killed in the middle, an export leaves the old one alone.
before=$(sha256sum out/m4a1.json)
for delay in 0 0.002 0.005 0.01 0.02; do
    "$M4A1" export small.store out --force >/dev/null 2>&1 &
    pid=$!
    sleep $delay
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
done
check_equal "killed exports leave a whole one" "$(sha256sum out/m4a1.json)" "$before"
check "that still checks" "$M4A1" stats coverage out

# Status.
check "status" "$M4A1" status small.store
check_output "names the next command" 'next: m4a1 train small.store'
check "status as JSON" "$M4A1" status small.store --json
cp "$TAP_OUT" status.json
check_equal "counts the imported sessions" "$(json_value status.json 'd["imported_sessions"]')" 2

if [ -z "$SHARED" ]; then
    skip "the public slice of M4A1" "no shared material"
    done_testing
fi
public=$SHARED/data/m4a1_public.json
check "the public slice is imported" "$M4A1" import m4a1.store "$public" --json
cp "$TAP_OUT" counts.json
check_equal "100 sessions, 352 turns, 44 scenes, 20 prompts" \
    "$(json_value counts.json 'd["sessions"], d["turns"], d["scenes"], d["prompts"]')" \
    "(100, 352, 44, 20)"
check "the store is sound, too" "$M4A1" check m4a1.store
check "it is exported" "$M4A1" export m4a1.store m4a1-out --format m4a1-json
check "every field and every bit as the authors wrote it" \
    equal_json "$public" m4a1-out/m4a1.json
check "its export is imported like the original" "$M4A1" import m4a1.store m4a1-out/m4a1.json
check_output "and known as the same" '100 sessions were there already'
check "coverage" "$M4A1" stats coverage m4a1.store --json
cp "$TAP_OUT" coverage.json
check_equal "actions are those of the published table" \
    "$(json_value coverage.json '[(a["n"], round(a["score"], 3), round(a["latency_s"], 2)) for a in d["actions"]]')" \
    "[(170, 0.814, 7.58), (85, 1.364, 8.77), (19, 1.051, 6.34), (31, 1.346, 7.22), (47, 1.116, 8.69)]"
check_equal "28 text-only turns never saw a view, 57 have some in context" \
    "$(json_value coverage.json '[a["n"] for a in d["cloud_text_only_by_context"]]')" \
    "[28, 4, 11, 42]"
check "the three kinds of DATA" "$M4A1" stats coverage "$public" --json
sed '/"data":/d' "$TAP_OUT" >file.txt
check "agree" "$M4A1" stats coverage m4a1-out --json
sed '/"data":/d' "$TAP_OUT" >folder.txt
sed '/"data":/d' coverage.json >store.txt
check "file and folder" cmp file.txt folder.txt
check "file and store" cmp file.txt store.txt
check "a split by session" "$M4A1" split m4a1.store sessions
check_output "warns of shared scenes" 'scenes on both sides: [1-9][0-9]* .*--by scene'
check "a split by scene" "$M4A1" split m4a1.store scenes --by scene
check_output "shares none" 'scenes on both sides: 0'
done_testing
