#!/bin/bash
# test_evaluate.sh - evaluate: what its tables say, what they trust, and how often a store
# was asked.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1

# 60 sessions of 3 turns over two views, half of the turns local; the cloud answers better.
awk 'BEGIN {
    srand(3)
    printf "["
    for (i = 0; i < 60; i++) {
        scene = i % 8
        printf "%s{\"id\": %d, \"image_paths\": [\"Scenario_%d_Modality_0_Activity_1.jpg\", \"Scenario_%d_Modality_1_Activity_1.jpg\"], \"interactions\": [", i ? ",\n" : "", i, scene, scene
        held = 0
        for (t = 0; t < 3; t++) {
            c = rand() < .5; v = int(4 * rand()); new = 0
            if (c && (v % 2 && held % 2 == 0)) new += 1
            if (c && (v >= 2 && held < 2)) new += 2
            held += new
            list = !new ? "null" : held == 1 ? "[0]" : held == 2 ? "[1]" : "[0, 1]"
            printf "%s{\"question\": \"q%d\", \"task_cat\": \"%s\", \"action\": %d, \"image_index\": %s, \"answer\": \"yes\", \"score\": %.3f, \"interaction_time\": %.2f, \"usage_cost\": %.4f}", t ? ", " : "", int(3 * rand()), t % 2 ? "Query" : "Other", c, list, (c ? 1.3 : .6) + .4 * rand(), c ? 2 + rand() : 1, c ? .001 : .0001
        }
        printf "], \"association_score\": [[0.2, 0.25], [0.21, 0.2], [0.19, 0.3]]}"
    }
    print "]"
}' >data.json

# ---- without policies ----
check "baselines of two splits" "$M4A1" evaluate data.json --seeds 2
for name in Random Local Cloud 'Cloud, no new view' 'Recorded behaviour'; do
    check_output "$name has an interval" "^$name .* [0-9.]+ \[[0-9.-]+, [0-9.-]+\]"
done
check_output "seeds are said to measure training only" 'deviation is what training and splits add'
check_output "one measure is the paper's" 'return inside the simulator, the paper.s measure'
check_output "another one scores the same actions anew" 'fitted on the test sessions only'
check_output "one step deviates" 'one-step deviations, on the histories that the behaviour made'
check_output "or all do" 'the policy chooses every turn; n in sessions'
check_output "probabilities are by the rule" "probabilities by M4A1's rule"
check_output "there is no direct value" 'Direct values: none'
check_output "scenes are shared" '^  scenes +[0-9]+ of [0-9]+, over [0-9]+ of 24 sessions'
check_output "rows are counted" '^  rows +[0-9]+ of [0-9]+, over [0-9]+ of 72 scored answers'
check_output "openings are not, outside a store" 'counted where DATA is a store; this is none'
cp "$TAP_OUT" once.txt
check "again" "$M4A1" evaluate data.json --seeds 2
cp "$TAP_OUT" twice.txt
check "gives the same" diff once.txt twice.txt
check "over scenes, other baselines, bounds" "$M4A1" evaluate data.json --seed 0 --by scenes \
    --baselines best-by-prompt,planner --oracle --against 'Recorded behaviour' --resamples 500
check_output "the bound is a row" '^Bound .* 100.0 %'
check_output "others are shares of it" '^Best-by-prompt .* [0-9.]+ %'
check_output "intervals are by scenes" 'paired bootstrap over scenes \(500 resamples\)'
check_output "the reference is named" 'less Recorded behaviour'
check "all sessions, costs as observed, as JSON" \
    "$M4A1" evaluate data.json --seed 0 --all-sessions --observed-costs --json
python3 - "$TAP_OUT" data.json >figures.txt <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
rows = {r["policy"]: r for r in d["policies"]}
local = rows["Local"]
print(local["off_policy_turns"], d["probabilities_by_rule"], d["splits"][0]["all_sessions"])
n = sum(i["action"] == 0 for s in json.load(open(sys.argv[2])) for i in s["interactions"])
print(abs(local["effective_turns"] - n) < 1e-9)  # every local turn weighs 2
m = local["measures"]
print(m["turn"]["low"] < m["turn"]["value"] < m["turn"]["high"], m["direct"]["value"])
less = rows["Cloud"]["measures"]["turn_robust"]["less_reference"]
print(less["reference"], less["low"] <= less["value"] <= less["high"], less["p"] <= less["p_holm"])
print("less_reference" in m["turn"])
END
check_equal "has every figure" "$(tr '\n' ' ' <figures.txt)" \
    "180 180 True True True None Local True True False "
check_status 2 "an unknown unit" "$M4A1" evaluate data.json --by frames
check_output "those there are" 'there are sessions, scenes and prompts'
check_status 1 "an unknown reference" "$M4A1" evaluate data.json --seed 0 --against Mars
check_output "is named" 'nothing that is evaluated is called "Mars"'
check_status 1 "an unknown baseline" "$M4A1" evaluate data.json --seed 0 --baselines clairvoyant
check_output "is named" 'clairvoyant'

# ---- policies ----
check "policies" "$M4A1" train data.json --steps 300 --seeds 2 --out p --quiet
check "and some of another world" \
    "$M4A1" train data.json --steps 300 --seed 0 --set reward.usage=0.1 --out other --quiet
check "and of another learner setting" \
    "$M4A1" train data.json --steps 300 --seed 0 --set learner.gamma=0.5 --out gamma --quiet
check "and held to a budget" \
    "$M4A1" train data.json --steps 300 --seed 0 --constraint latency=4 --out tight --quiet
check "of one world they stand in one table" "$M4A1" evaluate data.json p/*.json gamma/*.json
check_output "by learner" '^PPO +2 '
check_output "and number" '^PPO \(2\) +1 '
check_output "with a diagnosis of each" '^PPO \(2\)$'
check_status 1 "of two worlds they do not" "$M4A1" evaluate data.json p/*.json other/*.json
check_output "that is said" 'trained in different worlds'
check "a shielded one" "$M4A1" evaluate data.json tight/*.json --oracle
check_output "has its handling in its name" '^PPO, shield +1 '
check_output "constraints are told apart" '^policy +latency <= 4 s'
check_status 2 "a policy says its world itself" "$M4A1" evaluate data.json p/ppo-seed0.json --as-published

# ---- a store counts ----
check "a store" "$M4A1" import s.m4a1 data.json
check "is asked" "$M4A1" evaluate s.m4a1 --seeds 2
check_output "for the first time" 'drawn by seed 0: opened for the first time'
check "a second time, of one split" "$M4A1" evaluate s.m4a1 --seed 1 --json
check_output "which was opened once" '"before": 1'
check "a third time" "$M4A1" evaluate s.m4a1 --seed 1
check_output "says since when" 'drawn by seed 1: opened 2 times before, first on 20'
check_equal "the store has every opening" \
    "$(sqlite3 s.m4a1 'SELECT count(*), count(DISTINCT test_sha256) FROM evaluation_opening')" "4|2"
chmod a-w s.m4a1
if [ -w s.m4a1 ]; then
    skip "a store that is read only" "this user may write to everything"
else
    check "a store that is read only" "$M4A1" evaluate s.m4a1 --seed 1
    check_output "says that it was not entered" 'This time is not entered'
fi
done_testing
