#!/bin/bash
# test_experiment.sh - experiments as one command: results, resuming, stopping, bad files.
# shellcheck disable=SC2016  # $ in single quotes is for the inner shell
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1

check "experiments are listed" "$M4A1" experiment --list
check_output "all of them" 'transfer'
for name in main tau knn sensitivity ablation devices budgets privacy providers scaling transfer; do
    check "$name's file is there, and is JSON" sh -c "'$M4A1' experiment --print $name | jq -e .name"
done

# A synthetic study of our own: small, and with everything that a file can say.
cat >small.json <<'END'
{ "name": "small", "title": "Two windows.", "question": "Does the window matter?",
  "seeds": 2, "same_sessions": true,
  "config": { "as_published": true, "learner": { "name": "a2c", "steps": 500 } },
  "factors": [{ "name": "tau", "values": [
      { "label": "1", "x": 1, "config": { "tau": 1 },
        "data": { "views": 2, "tasks": 2, "turns": 3, "sessions": 60 },
        "published": { "Local": { "reward": 0.7 } } },
      { "label": "3", "x": 3, "config": { "tau": 3 },
        "data": { "views": 2, "tasks": 2, "turns": 3, "sessions": 60 } }] }],
  "rows": [{ "name": "A2C" }, { "name": "Local", "baseline": "local" },
      { "name": "No views", "offer": { "views": "none" } },
      { "name": "Bound", "bound": true }],
  "columns": ["reward", "share", "latency_s", "views"],
  "claims": [{ "text": "A2C is not beyond the bound", "figure": "reward", "of": "A2C",
      "against": "Bound", "most": 0 }],
  "plots": [{ "name": "reward", "kind": "lines", "y": "reward", "x_label": "tau" }] }
END
check "it runs without data of its own" "$M4A1" experiment - small.json --out a --quiet
check "results are JSON, 2 settings of 4 rows" jq -e \
    '(.settings | length) == 2 and (.settings[0].rows | length) == 4 and .seeds == 2' a/results.json
check "the bound is the bound" jq -e \
    '[.settings[].rows[] | select(.row == "Bound").figures.share.mean] | all(. == 1)' a/results.json
check "no policy is beyond it" jq -e '[.settings[].rows[].figures.share.mean] | all(. <= 1.000000001)' \
    a/results.json
check "what is not offered is not chosen" jq -e \
    '[.settings[].rows[] | select(.row == "No views").figures.views.mean] | all(. == 0)' a/results.json
check "the claim holds" jq -e '.claims | length == 2 and all(.verdict == "holds")' a/results.json
check "the published figure stands beside ours" grep -q 'reward, published' a/table.md
check "there is a table in LaTeX" grep -q 'begin{tabular}' a/table.tex
check "the methods tell the command" grep -q 'm4a1 experiment - small.json' a/methods.txt
if command -v gnuplot >/dev/null; then
    check "there are plots" test -s a/reward.svg -a -s a/reward.png
else
    check "there is the script of a plot" test -s a/reward.gp
fi

check "results carry command, digests and version" jq -e '
    .command == "m4a1 experiment - small.json" and (.version | length) > 0 and
    (.experiment_digest | test("^[0-9a-f]{64}$")) and .digest == ""' a/results.json
cp small.json "it's \$(touch owned).json"
check "a file of a hostile name" "$M4A1" experiment - "it's \$(touch owned).json" --out hostile --quiet --seeds 1
check "is quoted in the command" sh -c 'set -e; eval "set -- $(jq -r .command hostile/results.json)"
    [ "$4" = "it'"'"'s \$(touch owned).json" ] && [ ! -e owned ]'
check "it runs again" "$M4A1" experiment - small.json --out a --quiet
check_output "and computes nothing" '16 of 16 cells were there already'
check "another folder gives the same results" "$M4A1" experiment - small.json --out b --quiet --threads 1
check "bit for bit, but for CPU times" sh -c \
    'for d in a b; do jq -S "del(.. | .cpu_s?)" $d/results.json >$d.json; done; cmp a.json b.json'
printf 'broken' >"$(find a/cells -name '*A2C*seed0*' | head -n 1)"
check "it runs with a broken cell" "$M4A1" experiment - small.json --out a --quiet
check_output "which is run again" '15 of 16 cells were there already'
cell=$(find a/cells -name '*A2C*seed0*' | head -n 1)
jq -c '.figures.reward = "1.0"' "$cell" >new && mv new "$cell"
check "it runs with a cell that somebody changed" "$M4A1" experiment - small.json --out a --quiet
check_output "which is run again, too" '15 of 16 cells were there already'
check "it runs with more steps" "$M4A1" experiment - small.json --out a --quiet --steps 600
check_no_output "which is another experiment" 'cells were there already'

# Two bounds: each row is measured against the one that is as constrained as it is.
cat >bounds.json <<'END'
{ "name": "bounds", "title": "Two bounds.", "question": "Which bound is whose?", "seeds": 2,
  "config": { "as_published": true, "learner": { "name": "a2c", "steps": 500 } },
  "factors": [{ "name": "budget", "values": [
      { "label": "3 s", "config": { "constraints": [{ "kind": "latency", "budget": 3 }] },
        "data": { "views": 2, "tasks": 2, "turns": 3, "sessions": 60 } },
      { "label": "none can keep", "config": { "constraints": [{ "kind": "latency", "budget": 0.001 }] },
        "data": { "views": 2, "tasks": 2, "turns": 3, "sessions": 60 } }] }],
  "rows": [{ "name": "Bound", "bound": true },
      { "name": "Bound under budgets", "bound": true, "config": { "handling": "shield" } },
      { "name": "Cloud", "baseline": "cloud" }, { "name": "Cloud again", "baseline": "cloud" },
      { "name": "A2C, constrained", "config": { "handling": "shield" } }],
  "columns": ["reward", "share", "violation", "avoidable"],
  "claims": [
      { "text": "kept", "figure": "avoidable", "of": "A2C, constrained", "most": 0 },
      { "text": "not kept", "figure": "avoidable", "of": "Cloud", "most": 0 }] }
END
check "two bounds" "$M4A1" experiment - bounds.json --out bounds --quiet
row='def row($s; $r): .settings[$s].rows[] | select(.row == $r).figures;
    def near($a; $b): ($a - $b) | fabs < 1e-9;'
check "the share of a row without budgets is that of the bound without them" jq -e "$row"'
    . as $all | all(0, 1; . as $s | all(0, 1; . as $i | $all |
        near(row($s; "Cloud").share.by_seed[$i];
            row($s; "Cloud").reward.by_seed[$i] / row($s; "Bound").reward.by_seed[$i])))' bounds/results.json
check "the share of a constrained row is that of the bound under budgets" jq -e "$row"'
    . as $all | all(0, 1; . as $i | $all |
        near(row(0; "A2C, constrained").share.by_seed[$i];
            row(0; "A2C, constrained").reward.by_seed[$i] /
            row(0; "Bound under budgets").reward.by_seed[$i]))' bounds/results.json
check "both bounds are all of themselves" jq -e "$row"'
    row(0; "Bound").share.mean == 1 and row(0; "Bound under budgets").share.mean == 1' bounds/results.json
check "what could be kept and was not is avoidable" jq -e "$row"'
    row(0; "Cloud") | .violation.mean > 0 and .avoidable.mean == .violation.mean' bounds/results.json
check "what nothing could keep is not" jq -e "$row"'
    row(1; "Cloud") | .violation.mean == 1 and .avoidable.mean == 0' bounds/results.json
check "and so the claims say" jq -e '[.claims[] | [.text, .verdict] | join(" ")] ==
    ["kept holds", "not kept fails", "kept holds", "not kept holds"]' bounds/results.json
check "rows that are the same are run once" sh -c '[ "$(ls bounds/cells | wc -l)" -eq 16 ]'
check "and have the same figures" jq -e "$row"'
    row(0; "Cloud") == row(0; "Cloud again")' bounds/results.json

# A disk that is full while gnuplot writes, which it does not tell.
mkdir fake
cat >fake/gnuplot <<'END'
#!/bin/sh
out=$(printf %s "$2" | sed "s/^out = '//; s/'\$//")
printf '<svg>' >"$out.svg"
: >"$out.png"
END
chmod +x fake/gnuplot
cp -r a full && rm -f full/*.svg full/*.png
check_status 1 "pictures that are cut off" env PATH="$PWD/fake:$PATH" "$M4A1" experiment - small.json --out full --quiet
check_output "are told of" 'gnuplot left no whole picture for full/reward.svg; is the disk full'
check "and not kept" sh -c '! ls full/*.svg full/*.png 2>/dev/null'

# Stopped, and going on.
jq '.seeds = 40 | .config.learner.steps = 20000' small.json >long.json
"$M4A1" experiment - long.json --out c --quiet >/dev/null 2>stopped &
pid=$!
stop_at_exit $pid
for _ in $(seq 100); do
    [ "$(find c/cells -name '*.json' 2>/dev/null | wc -l)" -ge 4 ] && break
    sleep 0.1
done
kill -INT $pid
wait $pid
check "Ctrl-C ends it with 130" test $? -eq 130
check "and it says how to go on" grep -q 'the same command goes on' stopped
check "no half-written cell is left" sh -c 'for f in c/cells/*; do jq -e .key "$f" >/dev/null || exit 1; done'
check "the same command goes on" "$M4A1" experiment - long.json --out c --quiet --seeds 2
check_output "from the cells that are there" 'cells were there already'

# Mistakes.
check_status 2 "no data where they are needed" "$M4A1" experiment - tau
check_status 1 "no such experiment" "$M4A1" experiment - nosuch
check_output "which ones there are" 'main, tau, knn'
bad() { # what, jq filter, expected message
    jq "$2" small.json >bad.json
    check_status 1 "$1" "$M4A1" experiment - bad.json --out bad --quiet
    check_output "$1 is named" "$3"
}
bad "an unknown member" '.rwos = []' '"rwos" is unknown; there are name, title'
bad "an unknown config member" '.config.tua = 3' 'bad.json: config: unknown member "tua"'
bad "an unknown member of a value's config" '.factors[0].values[1].config.tua = 3' \
    'factor "tau", value "3", config: unknown member "tua"'
bad "an unknown member of a row's config" '.rows[1].config.tua = 3' 'row "Local", config: unknown member "tua"'
bad "configs that do not go together" '.rows[1].config = { constraints: [], handling: "shield" }' \
    'row "Local" with "tau 1": handling "shield" has nothing to handle'
bad "training that is no config" '.rows[0].training.tua = 3' 'row "A2C", training: unknown member "tua"'
bad "a baseline that is not there" '.rows[1].baseline = "lokal"' \
    'row "Local": there is no baseline "lokal"; there are random, local'
bad "a planner that looks too far" '.rows[1].baseline = "planner:99"' \
    'row "Local": the depth of the planner: expected a whole number from 1 to 6'
bad "a split of its own" '.config.split.from = "main"' 'an experiment draws its splits by seed'
bad "a row that is two things" '.rows[1].bound = true' 'row "Local" is a baseline and the bound'
bad "training of a baseline" '.rows[1].training = {}' '"training" and "trained_on" are of learners'
bad "two rows of a name" '.rows[1].name = "A2C"' 'row "A2C" is there twice'
bad "a row's name that breaks the table" '.rows[1].name = "a\nb"' 'a control character, which no table can hold'
bad "a row's name that is too long" '.rows[1].name = "x" * 101' 'has more than 100 bytes'
bad "two values of a label" '.factors[0].values[1].label = "1"' 'value "1" is there twice'
bad "an unknown offer" '.rows[2].offer.views = "some"' 'row "No views": offer: "views" is one of "all", "none"'
bad "an unknown member of an offer" '.rows[2].offer.view = "none"' 'offer: "view" is unknown; there are role, views, llms'
bad "no rows" '.rows = []' '"rows" lists'
bad "no columns" 'del(.columns)' 'columns: a list of figures'
bad "an unknown column" '.columns[0] = "rewrd"' 'columns: there is no figure "rewrd" of policies; there are reward, share'
bad "a column of estimators" '.columns[0] = "mse"' 'columns: there is no figure "mse" of policies'
bad "a column twice" '.columns[1] = "reward"' 'columns: "reward" is there twice'
bad "a claim of a row that is not there" '.claims[0].of = "PPO"' \
    'claim "A2C is not beyond the bound": there is no row "PPO"; there are "A2C", "Local"'
bad "a claim against a row that is not there" '.claims[0].against = "PPO"' 'there is no row "PPO"'
bad "a claim of a figure that is not kept by session" '.claims[0].figure = "local"' \
    'there is no figure "local" that is kept by session; there are reward, response'
bad "a claim that cannot fail" 'del(.claims[0].most)' '"least", "most" or both must be there'
bad "a claim with a range that is none" '.claims[0] += { least: 1 }' '"least" 1 is above "most" 0'
bad "a claim whose range is a text" '.claims[0].most = "0"' '"most" is a number'
bad "a claim with an unknown member" '.claims[0].atleast = 1' 'claims: "atleast" is unknown'
bad "a claim relative to nothing" 'del(.claims[0].against) | .claims[0].relative = true' '"relative" to what'
bad "a plot outside of the folder" '.plots[0].name = "../out"' 'without /'
bad "a plot without a name" '.plots[0].name = ""' 'plots: "name" is a text that must be there'
bad "two plots of a name" '.plots += [.plots[0] | .name = "Reward"]' 'plot "Reward" is there twice'
bad "a plot of an unknown kind" '.plots[0].kind = "pie"' 'plot "reward": "kind" is one of "bars", "lines", "points"'
bad "a plot of an unknown figure" '.plots[0].y = "rewrd"' 'plot "reward": there is no figure "rewrd"'
bad "a plot by an unknown factor" '.plots[0].factor = "k"' 'plot "reward": there is no factor "k"; there are "tau"'
bad "a plot of an unknown row" '.plots[0].rows = ["PPO"]' 'plot "reward": there is no row "PPO"'
bad "a plot with an unknown member" '.plots[0].ylabel = "x"' 'plots: "ylabel" is unknown'
bad "a logarithmic axis from 0" '.plots[0].log_x = true | .factors[0].values[0].x = 0' \
    'plot "reward": "log_x" needs an "x" above 0, and setting "tau 1" has none'
bad "data out of range" '.factors[0].values[0].data.views = 11' \
    'factor "tau", value "1": data: synthetic data have 1 to 10 views'
bad "data that are no numbers" '.factors[0].values[0].data.views = "2"' 'data.views is a whole number'
bad "data with an unknown member" '.factors[0].values[0].data.view = 2' 'data: "view" is unknown'
bad "data of some settings only" 'del(.factors[0].values[1].data)' 'setting "tau 3" has no "data", and others have'
bad "published figures of no row" '.factors[0].values[0].published.PPO = {}' 'published: there is no row "PPO"'
bad "an experiment's name outside of the folder" '.name = "../../out"' '"name" is "../../out", and becomes a file'
bad "half a seed" '.seeds = 1.5' '"seeds" is a whole number'
bad "crossed that is a text" '.crossed = "no"' '"crossed" is true or false'
bad "a share without a bound" '.rows |= map(select(.bound | not)) | del(.claims)' '"share" needs a row that is the bound'
bad "what is avoidable without a bound under budgets" '.columns += ["avoidable"]' \
    '"avoidable" needs a row that is the bound under budgets'
check_status 2 "a folder without a name" "$M4A1" experiment - small.json --out "" --quiet
check "nothing was made for any of them" test ! -e bad

# The same data on both sides of a transfer.
if [ -n "$SHARED" ] && [ -f "$SHARED/data/m4a1_public.json" ]; then
    public=$SHARED/data/m4a1_public.json
    check "a transfer to the same data" "$M4A1" experiment "$public" transfer --other "$public" \
        --seeds 1 --steps 2048 --out t --quiet
    check "is no transfer at all" jq -e '[.settings[0].rows[] |
        select(.row | startswith("PPO")).figures.reward.mean] | .[0] == .[1]' t/results.json
    jq '[.[] | .interactions |= map(.task_cat |= sub("Query"; "Question"))]' "$public" >renamed.json
    check_status 1 "a task that corresponds to none" "$M4A1" experiment "$public" transfer \
        --other renamed.json --seeds 1 --quiet
    check_output "is named" '"Question"'
    check_status 2 "data for an experiment that makes its own" "$M4A1" experiment "$public" small.json
    echo '{ "tasks": { "Question": "Query" } }' >map.json
    check "a map says which it is" "$M4A1" experiment "$public" transfer --other renamed.json \
        --map map.json --seeds 1 --steps 2048 --out m --quiet
    check "and the figures are those of the same names" sh -c \
        'for d in t m; do jq -S "[.settings[].rows[].figures | del(.cpu_s)]" $d/results.json >$d.json; done
         cmp t.json m.json'
    echo '{ "tasks": { "Qestion": "Query" } }' >map.json
    check_status 1 "a map's mistake" "$M4A1" experiment "$public" transfer --other renamed.json \
        --map map.json --quiet
    check_output "a map's mistake is named" 'map.json: .*no "Qestion"'
    printf '[]' >map.json
    check_status 1 "a map that is none" "$M4A1" experiment "$public" transfer --other renamed.json \
        --map map.json --quiet
    check_output "is named" 'map.json: the map is an object'
    bad_for_data() { # what, jq filter, expected message
        jq 'del(.same_sessions, .factors) | '"$2" small.json >bad.json
        check_status 1 "$1" "$M4A1" experiment "$public" bad.json --out bad --quiet
        check_output "$1 is named" "$3"
    }
    bad_for_data "an llm that the data lack" '.rows += [{ name: "X", baseline: "llm:gpt-9" }]' \
        'X, seed 0: baseline "llm:gpt-9": .* has no llm of that name; it has local, cloud'
    bad_for_data "a cloud llm that the data lack" '.config.cloud = "gpt-9"' 'has no such cloud llm'
    bad_for_data "an offer that leaves nothing" '.rows[2].offer = { role: "cloud", llms: 1 }' \
        'No views, seed 0: no action of .* is left'
    jq '.[:1]' "$public" >one.json
    jq 'del(.same_sessions, .factors)' small.json >bad.json
    check_status 1 "a single session" "$M4A1" experiment one.json bad.json --out bad --quiet
    check_output "is too few" 'a split needs 2 or more'
    check "nothing was made for any of these" test ! -e bad
    check "knn runs" "$M4A1" experiment "$public" knn --seeds 1 --out knn --quiet
    check "with every estimator" jq -e '[.settings[0].rows[].row] | length == 10 and any(test("auto"))' knn/results.json
    check "calibration by support counts every row once" jq -e '[.settings[].rows[].figures |
        [.support_0_rows, .support_1_rows, .support_2_4_rows, .support_5_rows] | map(.mean) | add] |
        all((. - 1) | fabs < 1e-9)' knn/results.json
    check "and stands in a table of its own" grep -q '| 5+ |' knn/support.md
    check "squared errors of the published estimator, and of the constant" jq -e '[.settings[2].rows[] |
        select(.row == "published k-NN, k 5" or .row == "constant").figures.mse.mean] |
        (.[0] - 1.24 | fabs) < 0.1 and (.[1] - 0.94 | fabs) < 0.02' knn/results.json
    for name in tau ablation privacy providers; do
        check "$name runs" "$M4A1" experiment "$public" $name --seeds 1 --steps 1000 --quiet
    done
else
    skip "experiments on public data" "shared material is absent"
fi
done_testing
