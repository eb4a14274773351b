#!/bin/bash
# test_train.sh - training beyond the published world: learners, configs, constraints,
# costs of one's own, policies that are kept, and what the diagnosis says.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1

# 20 sessions of 3 turns over two views, with a local and two cloud llms; the answers of
# gpt are worth most, those of gemini are cheap.
awk 'BEGIN {
    printf "["
    for (i = 0; i < 20; i++) {
        printf "%s{\"id\": %d, \"image_paths\": [\"Scenario_%d_Modality_0_Activity_1.jpg\", \"Scenario_%d_Modality_1_Activity_1.jpg\"], \"interactions\": [", i ? ",\n" : "", i, i, i
        for (t = 0; t < 3; t++) {
            c = (i + t) % 3
            llm = c == 0 ? "phi" : c == 1 ? "gpt" : "gemini"
            seconds = c == 0 ? 1 : 2 + c
            printf "%s{\"question\": \"q%d\", \"task_cat\": \"%s\", \"action\": %d, \"llm\": \"%s\", \"image_index\": %s, \"answer\": \"yes\", \"score\": %s, \"interaction_time\": %s, \"usage_cost\": %s}", t ? ", " : "", i % 4, ((i + t) % 2 ? "Query" : "Other"), (c > 0), llm, c && t == 0 ? "[" i % 2 "]" : "null", c == 1 ? 2 : 1, seconds, c == 1 ? 0.01 : 0.001
        }
        printf "], \"association_score\": [[0.2, 0.25], [0.21, 0.2], [0.19, 0.3]]}"
    }
    print "]"
}' >three.json
train="train three.json --steps 2048 --seed 0"

# ---- the default world ----
check "three llms are trained on" "$M4A1" $train --out p
check_output "costs that nobody measured are told" 'Nobody measured .*gpt with 2 views'
check_output "the estimator is told" 'estimator: [a-z]+'
check_output "a diagnosis ends it" '^Diagnosis'
check_output "with the four signatures" 'variance between seeds: 1 seed cannot show it'
check_equal "the policy knows all of it" "$(jq -r '[.version, .config.learner.name,
    (.data.llms | map(.name) | join(",")), (.actions | length), .config.estimator.kind,
    .network.kind] | join(" ")' p/ppo-seed0.json)" \
    "2 ppo phi,gemini,gpt 9 auto actor-critic"
for learner in a2c dqn; do
    check "$learner trains" "$M4A1" $train --learner $learner --out p
    check "its file is there" test -s p/$learner-seed0.json
done
check_equal "dqn leaves values" "$(jq -r '.network.kind' p/dqn-seed0.json)" q
check "recorded actions only" "$M4A1" $train --actions recorded --out recorded --json --quiet
check_equal "are fewer" "$(jq '.actions | length < 9' recorded/ppo-seed0.json)" true
echo '[{"llm": "phi"}, {"llm": "gpt", "views": ["view_1"]}]' >two.json
check "listed actions" "$M4A1" $train --actions two.json --out listed
check_equal "in their order" "$(jq -c '.actions' listed/ppo-seed0.json)" \
    '[{"llm":"phi","views":[]},{"llm":"gpt","views":["view_1"]}]'
echo '[{"llm": "claude"}]' >strange.json
check_status 2 "an llm that is not there" "$M4A1" $train --actions strange.json --out none
check_output "is named" 'actions\[0\] asks llm "claude", which three.json lacks'
check_status 2 "an actions file that is not there" "$M4A1" $train --actions nowhere.json
check_status 2 "llms by role are the published world's" "$M4A1" $train --cloud gpt
check_status 2 "the published world has all actions" \
    "$M4A1" $train --as-published --local phi --cloud gpt --actions recorded

# ---- constraints ----
check "budgets are kept by the shield" "$M4A1" $train --constraint latency=5 --constraint privacy=1:2 --network Wired --out c --json --quiet
check_equal "in every session" "$(jq '.policies[0].over' "$TAP_OUT")" 0
check_equal "as the policy says" "$(jq -c '.config | [.handling, .resource_aware, .constraints[1].kind, .constraints[1].horizon]' c/ppo-shield-seed0.json)" \
    '["shield",true,"privacy",2]'
for handling in none penalty lagrangian; do
    check "handling $handling" "$M4A1" $train --constraint latency=5 --handling $handling --lambda 2 --out c
done
check "each has its file" test -s c/ppo-lagrangian-seed0.json -a -s c/ppo-penalty-seed0.json -a -s c/ppo-seed0.json
check_status 2 "a constraint without a budget" "$M4A1" $train --constraint latency
check_output "it is said how" 'expected KIND=BUDGET\[:HORIZON\]'
check_status 2 "an unknown kind" "$M4A1" $train --constraint speed=3
check_status 2 "an unknown handling" "$M4A1" $train --handling hope
check_output "they are listed" 'there are none, published, penalty, lagrangian, shield'

# ---- costs ----
cat >costs.json <<'END'
{ "m4a1_cost_table": 1, "llms": {
    "phi": { "latency_s": [7.5], "usage_usd": [0.0001] },
    "gpt": { "latency_s": [3, null, 7], "usage_usd": [0.001, 0.005, 0.01] },
    "gemini": { "latency_s": [2, 4], "usage_usd": [0.0001, 0.0005] } } }
END
check "costs of a table" "$M4A1" $train --costs costs.json --out costs
check_output "what it does not know is told" 'gemini with 2 views; gpt with 1 view'
check_equal "and taken in line" "$(jq -c '.costs.llms.gpt.latency_s' costs/ppo-seed0.json)" '[3,5,7]'
sed 's/"gemini"/"claude"/' costs.json >other_costs.json
check_status 1 "an llm without costs" "$M4A1" $train --costs other_costs.json --out none
check_output "is named" 'nothing of llm "gemini"'
check_status 1 "a file that is none" "$M4A1" $train --costs three.json --out none
check_output "it is said what is expected" 'is no cost file: expected "m4a1_cost_profile": 1'
check "the published profiles" "$M4A1" $train --network WiFi --out wifi
check_equal "cost what they cost" "$(jq -c '.costs.llms.gpt.latency_s' wifi/ppo-seed0.json)" '[0.5,1.898,2.016]'

# ---- configs ----
check "every setting is printed" "$M4A1" train --learner ppo --tau 3 --constraint usage=0.02 --print-config
cp "$TAP_OUT" ppo.json
check_equal "as JSON" "$(jq -c '[.learner.name, .learner.n_epochs, .tau, .handling]' ppo.json)" '["ppo",4,3,"shield"]'
check "and taken" "$M4A1" train three.json --config ppo.json --seed 0 --steps 2048 --out configured
check_equal "whole" "$(jq -c '[.config.learner.name, .config.tau, .config.constraints[0].budget]' configured/ppo-shield-seed0.json)" '["ppo",3,0.02]'
check "options override it" "$M4A1" train --config ppo.json --tau 4 --set learner.n_epochs=3 --set reward.usage=0 --print-config
check_equal "each its own member" "$(jq -c '[.tau, .learner.n_epochs, .learner.name, .reward.usage]' "$TAP_OUT")" '[4,3,"ppo",0]'
check "a policy is a config, too" "$M4A1" train --config configured/ppo-shield-seed0.json --print-config
check_equal "the one it was trained with" "$(jq -c '[.learner.name, .tau]' "$TAP_OUT")" '["ppo",3]'
echo '{ "taus": 3 }' >wrong.json
check_status 1 "an unknown member is refused" "$M4A1" $train --config wrong.json
check_output "by name" 'wrong.json: unknown member "taus", did you mean "tau"'
check_status 2 "so is one of --set" "$M4A1" $train --set learner.buffer_size=0.1
check_output "with the learner" 'unknown member "learner.buffer_size" of ppo'
check_status 2 "--set needs a value" "$M4A1" $train --set tau
check_status 2 "worlds that differ" "$M4A1" $train --as-published --config ppo.json
check_status 2 "DATA is missing" "$M4A1" train --steps 2048

# ---- resuming ----
check "two seeds" "$M4A1" train three.json --steps 2048 --seeds 0,1 --out r
cp r/ppo-seed0.json first.json
rm r/ppo-seed1.json
check "again: what is there is kept" "$M4A1" train three.json --steps 2048 --seeds 0,1 --out r
check_output "kept" '^ +0 .* kept +r/ppo-seed0.json'
check_output "trained" '^ +1 .* trained +r/ppo-seed1.json'
check "it is as it was" cmp first.json r/ppo-seed0.json
check_status 1 "with other settings it is in the way" "$M4A1" train three.json --steps 4096 --seeds 0,1 --out r
check_output "it is said so" 'r/ppo-seed0.json is there already, of other settings; --force'
check "--force trains anew" "$M4A1" train three.json --steps 2048 --seed 0 --force --out r
sed 's/"score": 2/"score": 3/' three.json >newer.json
check_status 1 "of other data it is in the way, too" "$M4A1" train newer.json --steps 2048 --seed 0 --out r
check_output "it is said what differs" 'trained on another data set'
check "resuming leaves nothing half written" bash -c '! ls r/*.tmp* 2>/dev/null'

# ---- the diagnosis leads somewhere ----
check "always local, by weights" "$M4A1" train three.json --steps 4096 --seed 0 --network Wired --out local \
    --set reward.latency=9 --set reward.usage=9
check_output "is found" 'FOUND +always local: 100 %'
check_output "with its cause" "Cause: the reward's weights"
next=$(sed -n 's/^ *Next: //p' "$TAP_OUT" | head -1)
check "the next command runs" bash -c "\"$M4A1\" ${next#m4a1 } --seed 0"
check "and goes on from there" jq -e '.config.reward.latency == 3' again/ppo-seed0.json
check "the same as JSON" "$M4A1" train three.json --steps 4096 --seed 0 --network Wired --out local --json --quiet \
    --set reward.latency=9 --set reward.usage=9
check_equal "with figure and threshold" "$(jq -c '.diagnosis[0] | [.name, .found, .figure, .threshold]' "$TAP_OUT")" \
    '["always local",true,1,0.9]'
check "seeds run side by side, with progress" "$M4A1" train three.json --steps 2048 --seeds 4 --out side
check_output "of all" 'training ppo: 8192 of 8192'
done_testing
