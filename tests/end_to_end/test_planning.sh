#!/bin/bash
# test_planning - behaviours, estimates, coverage against minima, filling, a new llm with
# anchors, drift and censoring, through the program.
. "$(dirname "$0")/../support/tap.sh"

[ -n "$SHARED" ] && [ -d "$SHARED/data/views" ] || skip_all "shared material (data/views) is absent"
command -v sqlite3 >/dev/null || skip_all "the sqlite3 program is not installed"

store=$WORK/a.store
mkdir -p "$WORK/scenes/kitchen"
cp "$SHARED"/data/views/*.jpg "$WORK/scenes/kitchen"
sql() { sqlite3 -batch -noheader "$store" "$1"; }
json() { sed -n "s/^ *\"$1\": *\([^,]*\),\{0,1\}$/\1/p" "$TAP_OUT" | head -n 1; }

# The built-in recipe with small minima, short dialogues and a second cloud llm for later.
"$M4A1" init --print-recipe >"$WORK/m4a1.jsonc"
sed -e 's/"plan": {"behaviour": "m4a1", "fan_out": 0, "max_usd": 25}/"plan": {"behaviour": "uniform", "max_usd": 25, "minima": {"per_cell": 1, "per_action": 2}}/' \
    -e 's/"turns": \[2, 5\]/"turns": [2, 2]/' "$WORK/m4a1.jsonc" >"$WORK/small.jsonc"
sed -e 's|^    // Answers every turn with all views.*|    "other": {"role": "cloud", "like": "cloud", "model": "gpt-5-nano"},\n&|' \
    -e 's|^  "prices": \[|&\n    {"llm": "other", "from": "2026-01-01", "input_usd": 0.05, "output_usd": 0.4, "source": "test"},|' \
    "$WORK/small.jsonc" >"$WORK/more.jsonc"
check "a store is made" "$M4A1" init "$store" --recipe "$WORK/small.jsonc"
check "scenes are put in" "$M4A1" ingest "$store" "$WORK/scenes" --quiet

# ---- before anything is planned ----
check_status 1 "an empty store is below its minima" "$M4A1" stats coverage "$store" --check
check_output "and says so" '^fail: not every minimum'
check "a dry run" "$M4A1" plan "$store" --sessions 6 --dry-run --quiet
check_output "tells calls, dollars with a range and time" '^\$[0-9.]+ \(\$[0-9.]+ to \$[0-9.]+\), about'
check_output "tells that nothing is measured" 'all figures are a guess'
check_no_output "and claims no range of chance" 'cover chance'
check_output "and the thinnest cell" '^Thinnest cell: '
check_equal "and writes nothing" "$(sql 'SELECT count(*) FROM call')" 0

# ---- behaviours ----
check "uniform, as the recipe says, twice each" "$M4A1" plan "$store" --sessions 4 --samples 2 --quiet
check_equal "each eligible action alike" "$(sql "SELECT count(*) FROM call c WHERE purpose = 'path' AND abs(probability * json_array_length(eligible) - 1) > 1e-9")" 0
check_equal "the second sample stands beside the path" "$(sql "SELECT count(*) FROM call WHERE purpose = 'fan_out' AND sample = 1")" 8
check "balanced, with another seed" "$M4A1" plan "$store" --sessions 4 --seed 2 --behaviour balanced --quiet
check_status 2 "an unknown behaviour is a usage error" "$M4A1" plan "$store" --behaviour balanecd
check_output "with the nearest" 'did you mean balanced'
check_status 1 "a policy needs its file" "$M4A1" plan "$store" --seed 3 --behaviour policy
check_status 1 "fixed needs its action" "$M4A1" plan "$store" --seed 3 --behaviour fixed
check_status 2 "two plans at once are refused" "$M4A1" plan "$store" --fill --add-llm other
check_status 2 "a budget belongs to filling" "$M4A1" plan "$store" --max-calls 3
check_status 2 "filling has no fan-out of its own" "$M4A1" plan "$store" --fill --fan-out 2
check_output "and says so" 'fan-out does nothing with --fill'
check_status 2 "an llm is named to undo" "$M4A1" plan "$store" --llm cloud
check "a run beyond the cap" "$M4A1" plan "$store" --sessions 4000 --dry-run --quiet
check_output "is told where it will stop" '^The cap of .25.00 .* will stop this run at about call [0-9]+ of [0-9]+'

# ---- filling ----
before=$(sql 'SELECT count(*) FROM call')
check "a little is filled" "$M4A1" plan "$store" --fill --max-calls 9 --json --quiet
check_equal "as the budget allows" "$(json budget_reached)" true
added=$(($(sql 'SELECT count(*) FROM call') - before))
check_equal "and no more" "$([ $added -gt 0 ] && [ $added -le 9 ] && echo yes)" yes
check "the rest is filled" "$M4A1" plan "$store" --fill --quiet
check_output "nothing stays thin" 'context cells below their minimum: [0-9]+ before, 0 with'
check_output "nothing is missing" 'answers missing: [1-9][0-9]* before, 0 after'
check "filling again" "$M4A1" plan "$store" --fill --quiet
check_output "finds nothing to do" '^Nothing to fill'
check "every invariant holds" "$M4A1" check "$store"

start_simulator --time-scale 0.002 --recipe "$WORK/more.jsonc" || exit 1
sim=http://127.0.0.1:$SIM_PORT
check "the plan is collected" "$M4A1" collect "$store" --simulator "$sim" --quiet
check "now the minima hold" "$M4A1" stats coverage "$store" --check
check_output "and it is said" '^pass: every minimum'
check "also as JSON" "$M4A1" stats coverage "$store" --json
check_output "with the cells" '"thin_when_all_is_answered": 0'
check_status 2 "--check belongs to coverage" "$M4A1" stats cost "$store" --check

# ---- by what was measured ----
check "an estimate from answers" "$M4A1" plan "$store" --sessions 30 --dry-run --json --quiet
check_output "says what it rests on" '"basis": "simulated"'
check_output "and what of the cap is left" '"spent_usd": [0-9.]+'
check_output "and counts the judgements" '"judgements": [1-9]'

# ---- a policy ----
check "answers are judged" "$M4A1" annotate "$store" --simulator "$sim" --quiet
check "a split" "$M4A1" split "$store" main
check "a policy is trained" "$M4A1" train "$store" --as-published --split main --seeds 0, --steps 200 --out "$WORK/p"
check "it plans sessions" "$M4A1" plan "$store" --seed 4 --sessions 5 --policy "$WORK/p/a2c-seed0.json" --epsilon 0.2 --quiet
check_equal "with the file's hash" "$(sql "SELECT settings ->> '\$.policy_sha256' FROM plan WHERE behaviour = 'policy'")" "$(sha256sum "$WORK/p/a2c-seed0.json" | cut -d' ' -f1)"
check_equal "every action has its share of epsilon" "$(sql "SELECT count(*) FROM call c JOIN turn USING (turn_id) JOIN session USING (session_id) JOIN plan p USING (plan_id), json_each(c.eligible) e WHERE p.behaviour = 'policy' AND (e.value ->> '\$[2]') < 0.2 / json_array_length(c.eligible) - 1e-9")" 0
check "the best action only" "$M4A1" plan "$store" --seed 5 --sessions 3 --policy "$WORK/p/a2c-seed0.json" --greedy --quiet
check_equal "is certain" "$(sql "SELECT count(*) FROM call c JOIN turn USING (turn_id) JOIN session USING (session_id) JOIN plan p USING (plan_id) WHERE p.seed = 5 AND purpose = 'path' AND probability < 1")" 0
check "it is collected" "$M4A1" collect "$store" --simulator "$sim" --quiet

# ---- a new llm and drift ----
check_status 1 "a new llm has to be in the recipe" "$M4A1" plan "$store" --add-llm other
check "no anchors yet" "$M4A1" stats drift "$store"
check_output "it is said how to get them" 'plan --add-llm'
check "the recipe gets one more" "$M4A1" init "$store" --recipe "$WORK/more.jsonc"
check "it is asked over what is there" "$M4A1" plan "$store" --add-llm other --quiet
check_equal "with ten anchors of an llm" "$(sql "SELECT min(n) >= 10 FROM (SELECT count(*) AS n FROM call WHERE purpose = 'check' GROUP BY llm_id)")" 1
check "and taken back" "$M4A1" plan "$store" --undo --quiet
check_output "with the plan" 'and 1 plan that are empty now'
check_equal "leaves nothing" "$(sql "SELECT count(*) FROM call JOIN llm USING (llm_id) WHERE name = 'other' OR purpose = 'check'")" 0
check "it is asked again" "$M4A1" plan "$store" --add-llm other --anchors 0.1 --quiet
check_equal "in every turn" "$(sql "SELECT count(DISTINCT turn_id) FROM call JOIN llm USING (llm_id) WHERE name = 'other'")" "$(sql 'SELECT count(*) FROM turn')"
check "again" "$M4A1" plan "$store" --add-llm other --quiet
check_output "there is nothing to add" '^Nothing to add'
check "it is collected" "$M4A1" collect "$store" --simulator "$sim" --quiet
check "anchors are judged, too" "$M4A1" annotate "$store" --simulator "$sim" --quiet
check "drift is shown" "$M4A1" stats drift "$store"
check "latency of one llm" "$M4A1" stats latency "$store" --llm cloud --min-n 3
check_no_output "names no other" '^other '
check_status 1 "an unknown llm" "$M4A1" stats latency "$store" --llm nosuch
check "drift once more" "$M4A1" stats drift "$store"
check_output "with intervals" '^score  *[0-9]+ '
check_output "with verdicts" '^figure +pairs .* verdict$'
check_no_output "without caches that nobody used" '^cache_write'
check_output "with the models" 'model: gpt-5-mini -> gpt-5-mini'
check_status 1 "of a store only" "$M4A1" stats drift "$WORK/small.jsonc"
check "every invariant still holds" "$M4A1" check "$store"
stop_simulator

# ---- censoring ----
check "more sessions" "$M4A1" plan "$store" --seed 6 --sessions 4 --quiet
call=$(sql "SELECT min(call_id) FROM call c WHERE purpose = 'path' AND parent_id IS NULL AND NOT EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id)")
sql "INSERT INTO attempt (call_id, number, status, final, error_class, error, sent_ms, closed_ms, request_sha256, request) VALUES ($call, 1, 'failed', 1, 'filter', 'no', 1, 2, 'h', x'00')"
check "status names what was censored" "$M4A1" status "$store"
check_output "by task and llm" '^censored sessions'
check "coverage, too" "$M4A1" stats coverage "$store"
check_output "with the turns that are lost" '^censored sessions'
# ---- a typo, and the way back ----
store=$WORK/b.store
sed -e 's/"parameters": {"max_completion_tokens": 2048/"parameters": {"max_completion_tokns": 2048/' "$WORK/small.jsonc" >"$WORK/typo.jsonc"
check_status 1 "a cap without a bound is refused" "$M4A1" init "$store" --recipe "$WORK/typo.jsonc"
check_output "with its line" 'typo.jsonc:[0-9]+: llms.reference.parameters: a spending cap needs a bound'
check_output "all of them at once" 'llms.judge.parameters: a spending cap needs a bound'
sed -e 's/"role": "reference", "like": "cloud"/&, "accepts": {"image": 2}/' "$WORK/typo.jsonc" >"$WORK/two.jsonc"
check_status 1 "and a reference that sees too much" "$M4A1" init "$store" --recipe "$WORK/two.jsonc"
check_output "in the same breath" 'llms.reference.accepts: llm reference accepts 2 images, but as a reference'
check_output "with the other mistake" 'llms.reference.parameters: a spending cap'
sed -e 's/"max_usd": 25, //' "$WORK/typo.jsonc" >"$WORK/uncapped.jsonc"
check "without a cap it may be meant" "$M4A1" init "$store" --recipe "$WORK/uncapped.jsonc"
check "scenes are put in" "$M4A1" ingest "$store" "$WORK/scenes" --quiet
check "it is planned" "$M4A1" plan "$store" --sessions 6 --quiet
check_status 1 "collecting with a cap sends nothing" "$M4A1" collect "$store" --max-usd 1 --simulator http://127.0.0.1:9
check_status 1 "the mended recipe is refused" "$M4A1" init "$store" --recipe "$WORK/small.jsonc"
check_output "with the way back" 'plan STORE --undo --llm cloud'
check "which says what it would drop" "$M4A1" plan "$store" --undo --llm reference --dry-run
check_output "in numbers" '^Would drop 12 calls of llm reference'
check "and drops it" "$M4A1" plan "$store" --undo --llm reference
check "and the llm that it is like" "$M4A1" plan "$store" --undo --llm cloud
check_output "which was in whole dialogues" 'takes its turn and all later ones along'
check "now the mended recipe is taken" "$M4A1" init "$store" --recipe "$WORK/small.jsonc"
check "the gaps are planned" "$M4A1" plan "$store" --sessions 6 --quiet
check "a whole plan goes as well" "$M4A1" plan "$store" --undo
check_equal "with all its rows" "$(sql 'SELECT (SELECT count(*) FROM call) + (SELECT count(*) FROM turn) + (SELECT count(*) FROM session) + (SELECT count(*) FROM plan)')" 0
check "and can be made again" "$M4A1" plan "$store" --sessions 6 --quiet
check_equal "whole" "$(sql "SELECT count(*) FROM call WHERE purpose = 'reference'")" 12
check "every invariant holds" "$M4A1" check "$store"
# ---- a policy of any llms, with constraints ----
store=$WORK/a.store
check "a policy of the default world, with a shield" "$M4A1" train "$store" --split main --seed 0 --steps 500 --learner ppo --constraint privacy=1 --out "$WORK/p"
check "it plans sessions, too" "$M4A1" plan "$store" --seed 61 --sessions 8 --policy "$WORK/p/ppo-shield-seed0.json" --epsilon 0 --quiet
check_equal "what the shield masks has no probability" "$(sql "SELECT count(*) FROM call c JOIN turn USING (turn_id) JOIN session USING (session_id) JOIN plan p USING (plan_id) WHERE p.seed = 61 AND purpose = 'path' AND views_context & 3")" 0
check "its answers are measured" "$M4A1" stats latency "$store" --profile "$WORK/profile.json"
check "and cost in training what they took" "$M4A1" train "$store" --split main --seed 0 --steps 50 --costs "$WORK/profile.json" --constraint latency=2 --out "$WORK/measured" --quiet
check_equal "the mean, and a quantile for the shield" "$(jq '[.costs.llms[] | .latency_reserve_s[0] > .latency_s[0] and .latency_s[0] > 0] | all' "$WORK/measured/ppo-shield-seed0.json")" true

done_testing
