#!/bin/bash
# test_init.sh - stores from recipes: created, extended, or left as they were.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1

store_hash()
{
    # The content, not the file: opening a store for writing may touch its header.
    sqlite3 "$1" .dump | sha256sum
}

check "--print-recipe needs no store" "$M4A1" init --print-recipe
cp "$TAP_OUT" printed.jsonc
check_output "it is commented" '^ *// '
check "it leaves nothing behind" test "$(echo *)" = printed.jsonc
check_status 2 "--print-recipe takes no store" "$M4A1" init a.m4a1 --print-recipe
check_status 2 "a store is needed otherwise" "$M4A1" init

check "a store is created from the built-in recipe" "$M4A1" init a.m4a1
check_output "it says what is in it" '3 views, 4 tasks, 20 prompts, 4 llms, 4 prices'
check_output "it says what is next" 'm4a1 ingest a.m4a1'
check "the printed recipe makes one, too" "$M4A1" init b.m4a1 --recipe printed.jsonc --json
check_output "as JSON" '"created": true'
check_equal "both are the same" \
    "$(sqlite3 a.m4a1 'SELECT name, identity, settings FROM llm; SELECT name, text FROM prompt')" \
    "$(sqlite3 b.m4a1 'SELECT name, identity, settings FROM llm; SELECT name, text FROM prompt')"
check_equal "the recipe is kept whole" \
    "$(sqlite3 b.m4a1 'SELECT text FROM recipe')" "$(cat printed.jsonc)"

keys=$(sed -e 's|//.*||' -e 's/"parameters": {[^}]*}//' printed.jsonc |
    grep -o '"[a-z_0-9]*":' | tr -d '":' | sort -u)
for key in $keys; do
    grep -Eq "[\`.\"{]${key}[\`\".]" "$ROOT/docs/recipe.md" || echo "$key"
done >missing-keys
check_equal "docs/recipe.md tells every key of it" "$(cat missing-keys)" ""
rm missing-keys

# Extending.
before=$(store_hash a.m4a1)
check_status 2 "a store with a recipe is not given the built-in one by mistake" \
    "$M4A1" init a.m4a1
check_equal "it is as it was" "$(store_hash a.m4a1)" "$before"
check "the same recipe again" "$M4A1" init a.m4a1 --recipe m4a1
check_output "changes nothing" 'nothing had to change'
sed -e '/"name": "side"/d' -e 's/"slots": 8/"slots": 3/' \
    -e 's/"assist_fan", \(.*\)$/"assist_hood", \1/' \
    -e 's/"reference": {/"second": {"role": "cloud", "like": "cloud", "model": "gpt-5-nano"},\n&/' \
    -e 's/"first_person+side"/"first_person"/' printed.jsonc >other.jsonc
check "another recipe extends it" "$M4A1" init a.m4a1 --recipe other.jsonc
check_output "a view is retired" 'retired +view +side'
check_output "an llm is added" 'added +llm +second'
check_output "settings are updated" 'updated +llm +cloud'
check_output "an unpriced llm is named" 'No price: llm second'
check_equal "the retired view is kept" \
    "$(sqlite3 a.m4a1 "SELECT count(*) FROM view WHERE name = 'side' AND retired_ms > 0")" 1
check "back again" "$M4A1" init a.m4a1 --recipe m4a1 --json
check_output "as JSON" '"restored": \['
check_equal "no view is doubled" "$(sqlite3 a.m4a1 'SELECT count(*) FROM view')" 3

# Mistakes.
before=$(store_hash a.m4a1)
sed -e 's/"privacy": 2/"privacy": "high"/' -e 's/"turns": \[2, 5\]/"turns": [5, 2]/' \
    -e 's/"slots": 8/"slotts": 8/' -e 's/"key_env": "OPENAI_API_KEY"/"key": "sk-planted"/' \
    printed.jsonc >bad.jsonc
line=$(grep -n '"privacy": "high"' bad.jsonc | cut -d: -f1)
check_status 1 "a recipe with mistakes is refused" "$M4A1" init new.m4a1 --recipe bad.jsonc
check_output "with file, line and path" "^bad.jsonc:$line: views\\[0\\]\\.privacy: expected"
check_output "all of them at once: the turns" '^bad.jsonc:[0-9]+: sessions\.turns: expected'
check_output "the key, with the nearest name" 'slotts: .*did you mean "slots"'
check_output "the secret, with advice" 'key_env'
check_no_output "whose value is not repeated" 'sk-planted'
check_output "and their number" '4 mistakes'
check "nothing is left behind" test ! -e new.m4a1 -a ! -e new.m4a1.lock -a ! -e new.m4a1-wal
check_status 1 "an existing store is not touched by it" "$M4A1" init a.m4a1 --recipe bad.jsonc
check_equal "it is as it was" "$(store_hash a.m4a1)" "$before"

sed 's/"protocol": "openai-chat"/"protocol": "openai-chatt"/' printed.jsonc >protocol.jsonc
line=$(grep -n 'openai-chatt' protocol.jsonc | head -n 1 | cut -d: -f1)
check_status 1 "a protocol that is not there" "$M4A1" init new.m4a1 --recipe protocol.jsonc
check_output "is told with its line and the ones that are" \
    "^protocol.jsonc:$line: llms\\.local\\.protocol: expected a protocol \\(openai-chat"
sed 's/"protocol": "openai-chat"/"options": {"sever": "llama.cpp"}, &/' printed.jsonc >option.jsonc
line=$(grep -n '"sever"' option.jsonc | head -n 1 | cut -d: -f1)
check_status 1 "an option that the protocol does not have" "$M4A1" init new.m4a1 --recipe option.jsonc
check_output "is told with its line and the nearest that it has" \
    "^option.jsonc:$line: llms\\.local\\.options: .*\"sever\"; did you mean \"server\"\\?"
sed 's/"max_completion_tokens": 512/"max_completion_tokens": -512/' printed.jsonc >bound.jsonc
line=$(grep -n -e "-512" bound.jsonc | head -n 1 | cut -d: -f1)
check_status 1 "a negative bound of tokens" "$M4A1" init new.m4a1 --recipe bound.jsonc
check_output "is told with its line and path" \
    "^bound.jsonc:$line: llms\\.[a-z0-9-]+\\.parameters\\.max_completion_tokens: .* from 1 to"
sed "s/\"model\": \"/\"model\": \"sk-aB3dE5gH7jK9mN1pQ3sT5vX7/" printed.jsonc >pasted.jsonc
line=$(grep -n 'sk-aB3' pasted.jsonc | head -n 1 | cut -d: -f1)
check_status 1 "a pasted key" "$M4A1" init new.m4a1 --recipe pasted.jsonc
check_output "is told with its place" "^pasted.jsonc:$line: llms\\.[a-z0-9-]+\\.model: .*looks like"
check_no_output "and is not repeated" 'aB3dE5'
printf '{ "m4a1_recipe": 1,\n  "name" "x" }\n' >broken.jsonc
check_status 1 "broken JSON" "$M4A1" init new.m4a1 --recipe broken.jsonc
check_output "is told with its line" '^broken.jsonc:2:'
check_status 1 "a recipe that is not there" "$M4A1" init new.m4a1 --recipe nowhere.jsonc
check_output "is named" 'nowhere\.jsonc'
check "no store comes of any" test ! -e new.m4a1

# What is used is never edited.
sqlite3 a.m4a1 "INSERT INTO scene (scene_id, name) VALUES (1, 'x');
    INSERT INTO scene_frame (scene_id, view_id, at_ms, source) SELECT 1, view_id, 0, 'x' FROM view"
before=$(store_hash a.m4a1)
sed 's/"privacy": 2/"privacy": 5/' printed.jsonc >edit.jsonc
check_status 1 "a used view keeps its privacy level" "$M4A1" init a.m4a1 --recipe edit.jsonc
check_output "and the way out is told" 'new name'
check_equal "the store is as it was" "$(store_hash a.m4a1)" "$before"

# Files that a recipe names, seen from another folder.
mkdir recipes
printf '{"task": "Query", "text": "One?"}\n{"task": "Query", "text": "Two?"}\n' \
    >recipes/prompts.jsonl
awk '/^  "prompts": \[/ {print "  \"prompts_file\": \"prompts.jsonl\","; skip = 1}
    !skip {print} skip && /^  \],/ {skip = 0}' printed.jsonc >recipes/r.jsonc
check "files beside the recipe are found" "$M4A1" init c.m4a1 --recipe recipes/r.jsonc
check_output "and taken in" '2 prompts'
rm -r recipes
check_equal "the store needs them no more" \
    "$(sqlite3 c.m4a1 "SELECT json_array_length(text, '\$.prompts') FROM recipe")" 2

# Not a store.
echo "dear diary" >diary.txt
check_status 1 "a file that is no store is left alone" "$M4A1" init diary.txt --recipe m4a1
check_equal "as it was" "$(cat diary.txt)" "dear diary"
check_status 1 "a folder that is not there" "$M4A1" init nowhere/a.m4a1
done_testing
