#!/bin/bash
# test_tmo.sh - train, evaluate and trace on a small data set, and on M4A1's public slice.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1

# data SCORE: 12 sessions of 3 turns over two views; cloud answers score SCORE.
data()
{
    awk -v cloud="$1" 'BEGIN {
        printf "["
        for (i = 0; i < 12; i++) {
            printf "%s{\"id\": %d, \"image_paths\": [\"Scenario_%d_Modality_0_Activity_1.jpg\", \"Scenario_%d_Modality_1_Activity_1.jpg\"], \"interactions\": [", i ? ",\n" : "", i, i, i
            for (t = 0; t < 3; t++) {
                c = (i + t) % 2
                printf "%s{\"question\": \"q\", \"task_cat\": \"%s\", \"action\": %d, \"image_index\": %s, \"answer\": \"yes\", \"score\": %s, \"interaction_time\": 2, \"usage_cost\": 0.001}", t ? ", " : "", (i + t) % 3 ? "Query" : "Other", c, c && t < 2 && i % 4 ? "[" i % 2 "]" : "null", c ? cloud : 0.5
            }
            printf "], \"association_score\": [[0.2, 0.25], [0.21, 0.2], [0.19, 0.3]]}"
        }
        print "]"
    }'
}
data 1.5 >small.json
data 1.25 >other.json
cat >split.json <<'END'
{ "note": "two splits",
  "seed3": { "train": [0, 1, 2, 3, 4, 5, 6, 7], "test": [11, 10] },
  "seed4": { "train": [4, 5, 6, 7, 8, 9, 10, 11], "test": [0, 1, 2] } }
END
echo '{ "train": [0, 1, 2, 3], "test": [3, 4] }' >twice.json

# ---- training ----
train="train small.json --as-published --steps 500"
check "three seeds are trained" "$M4A1" $train --seeds 3 --out p
check_output "the next command is told" 'm4a1 evaluate small.json p/a2c-seed0.json'
check_output "the share of local choices has a name" '^seed +train +test +reward +local choices +over +policy$'
cp p/a2c-seed1.json kept.json
check_status 1 "policies that are there are not replaced" "$M4A1" $train --seeds 1,7 --steps 1000 --out p
check_output "the file is named, and the way out" 'p/a2c-seed1.json is there already.*--force'
check "it is as it was" cmp kept.json p/a2c-seed1.json
check "and nothing was trained beside it" test ! -e p/a2c-seed7.json
check "with --force they are" "$M4A1" $train --seed 1 --steps 1000 --out p --force
check "and are new" bash -c '! cmp -s kept.json p/a2c-seed1.json'
cp kept.json p/a2c-seed1.json
check "figures as JSON" "$M4A1" $train --seed 1 --out json --json --quiet
check_equal "each policy with its own" "$(python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
p, = d["policies"]
print(p["seed"], p["path"], p["train_sessions"], p["test_sessions"], 0 <= p["local_choices"] <= 1)' \
    "$TAP_OUT")" "1 json/a2c-seed1.json 10 2 True"
check "one step is asked for" "$M4A1" train small.json --as-published --steps 1 --seed 0 --out steps
check_output "rollouts have five" 'rounded up to 5, whole rollouts of 5'
check_output "and five are made" 'training a2c: 5 of 5'
check "again" "$M4A1" $train --seeds 3 --out again
for seed in 0 1 2; do
    check "seed $seed gives the same file" cmp p/a2c-seed$seed.json again/a2c-seed$seed.json
done
check "one seed alone gives what it gives among three" "$M4A1" $train --seed 2 --out alone
check "the file is the same" cmp p/a2c-seed2.json alone/a2c-seed2.json
check "members of a file of splits by seed" \
    "$M4A1" $train --seeds 3,4 --split 'split.json:seed{seed}' --out members
check "the policy names its sessions" grep -q '"test":\[11,10\]' members/a2c-seed3.json
check "with budgets in the observation" \
    "$M4A1" $train --seed 3 --split split.json:seed3 --resource-aware --out members

check_status 2 "other learners are refused" "$M4A1" $train --learner sarsa
check_output "they are listed" 'there are a2c, ppo, dqn'
check_status 2 "no seed at all is refused" "$M4A1" $train --seeds 0
check_output "one seed has its own option" 'for seed 0 alone say --seed 0$'
check_status 2 "a seed below 0" "$M4A1" $train --seeds 1,-1
check_output "is told" "expected a whole number from 0 to [0-9]+, found '-1'"
check_status 2 "so of a trace" "$M4A1" trace small.json --session x
check_status 1 "a file that is no object of splits" "$M4A1" $train --split small.json:main
check_output "has none" 'small.json has no split "main"; it has none'
check_status 2 "one seed and several" "$M4A1" $train --seed 0 --seeds 3
sed -E 's/"score": [0-9.]+/"score": null/' small.json >unscored.json
for verb in train evaluate 'trace --session 0'; do
    options=$(test "$verb" = evaluate || echo --as-published)
    check_status 1 "$verb: nothing is complete" "$M4A1" $verb unscored.json $options
    check_output "that is said" 'unscored.json has (no|0) complete session.*m4a1 annotate'
done
check_status 2 "an unknown device is refused" "$M4A1" $train --device "Jetson"
check_output "the devices are listed" 'Jetson TX2'
check_status 1 "a session on both sides is refused" "$M4A1" $train --split twice.json
check_status 1 "an unknown member is refused" "$M4A1" $train --split split.json:seed9
check_output "the members are listed" 'seed3, seed4'
check_status 1 "a split that is nowhere is refused" "$M4A1" $train --split nowhere
sed 's/"association_score": .*]]/"association_score": null/' small.json >warned.json
check "data without associations" "$M4A1" train warned.json --as-published --steps 5 --seed 0 --out warned
check_output "are warned of" '36 of 36 turns have no associations'
for verb in 'train --seed 0' 'trace --session 0'; do
    check_status 1 "$verb: a split that is nowhere" "$M4A1" $verb warned.json --as-published --split nowhere
    check_no_output "is told without warnings about the data" 'associations'
done
check_status 1 "a k beyond the rows is refused" \
    "$M4A1" $train --k 40 --split split.json:seed3 --out none
check_status 1 "nothing is left of it" test -e none/a2c-seed0.json

# Every other session's cloud answers are of another llm.
sed -e '1~2s/"action": 1,/"action": 1, "llm": "gpt",/g' \
    -e '2~2s/"action": 1,/"action": 1, "llm": "gemini",/g' \
    -e 's/"action": 0,/"action": 0, "llm": "phi",/g' small.json >llms.json
train_llms="train llms.json --as-published --steps 100 --seeds 1"
check_status 2 "several cloud llms: one must be chosen" "$M4A1" $train_llms
check_output "they are listed" 'choose with --cloud NAME among gemini, gpt'
check "one is chosen" "$M4A1" $train_llms --cloud gpt --out llms
check_output "what is left out is said" '12 of 36 turns were answered by other llms than phi and gpt'
check_status 2 "an llm that is not there is refused" "$M4A1" $train_llms --cloud claude

# ---- evaluation ----
check "policies beside the baselines" "$M4A1" evaluate small.json p/*.json members/*.json
for name in Random Local Cloud A2C 'A2C, resource-aware'; do
    check_output "$name has a line" "^$name  .* ± "
done
check_output "what the figures are is said" 'return inside the simulator, the paper.s measure'
check "as JSON" "$M4A1" evaluate small.json p/a2c-seed0.json --json
check_output "with each seed's figures" '"by_seed"'
check "baselines alone" "$M4A1" evaluate small.json --seeds 5
check "of one seed" "$M4A1" evaluate small.json --seed 5
check_output "which is that one" '^Local +1 '
check_status 2 "DATA is forgotten" "$M4A1" evaluate p/a2c-seed0.json p/a2c-seed1.json
check_output "the message says what comes first" \
    'p/a2c-seed0.json is a policy, and DATA comes first: m4a1 evaluate DATA p/a2c-seed0.json'
check_status 2 "the same in train" "$M4A1" train --as-published p/a2c-seed0.json
check_status 1 "other data are refused" "$M4A1" evaluate other.json p/a2c-seed0.json
check_output "it is said what differs" 'trained on another data set: digest'
sed 's/"b1": \[/"b1": [0,/' p/a2c-seed0.json >broken.json
check_status 1 "a broken policy is refused" "$M4A1" evaluate small.json broken.json
check_output "by name and size" 'broken.json: network: b1 has a row of 65 numbers'
head -c 5000 p/a2c-seed0.json >cut.json
check_status 1 "a cut one, too" "$M4A1" evaluate small.json cut.json
check_status 2 "options of a policy cannot be changed" \
    "$M4A1" evaluate small.json p/a2c-seed0.json --tau 3

# ---- trace ----
check "a session is played" \
    "$M4A1" trace small.json --as-published --session 11 --actions 0,3 --split split.json:seed3
check_output "the estimator is named" '24 rows .* of the split.s 8 training sessions'
check_output "and what the numbers of an observation are" '^An observation .*5 turns'
check_output "with the tasks" '0 Other, 1 Query'
check_output "turn by turn" '^  observation -1 -1 -1 -1 \| '
check_output "its last turn ends it" 'turn 2: action 0 .*the session ends'
check "training rules as JSON" "$M4A1" trace small.json --as-published --session 0,1 \
    --actions 4 --rules train --resource-aware --budget 5,0.01 --json
check_output "overdrawn steps earn nothing" '"reward": 0,'
check "the default world is traced" "$M4A1" trace small.json --estimate 3:1
check "turns are estimated" "$M4A1" trace small.json --as-published --estimate 3:1,3:1:4 --k 3
check_output "as recorded" 'session 3, turn 1, action .* as recorded: estimate'
check_output "and with another action" 'action 4 \(cloud \+ view_0 \+ view_1\), counterfactual'
check_status 1 "an action that is not there is refused" \
    "$M4A1" trace small.json --as-published --session 0 --actions 5
check_status 1 "a session that is not there is refused" \
    "$M4A1" trace small.json --as-published --session 99
check_status 2 "nothing to trace is refused" "$M4A1" trace small.json --as-published

# ---- the public slice ----
public=$SHARED/data/m4a1_public.json
splits=$SHARED/golden/tmo/split.json
if [ -n "$SHARED" ] && [ -f "$public" ] && [ -f "$splits" ]; then
    check "M4A1's public slice is trained on" "$M4A1" train "$public" --as-published \
        --split "$splits:seed{seed}" --out public
    check "and evaluated" "$M4A1" evaluate "$public" public/*.json
    check_output "Local earns what the authors' program gives it" '^Local +3  0\.838 ± 0\.024'
    check_output "A2C earns more than 1" '^A2C +3  1\.'
    check "a rollout of the reference" "$M4A1" trace "$public" --as-published --session 23 \
        --actions 0 --split "$splits:seed0" --json
    check_output "its first reward, ties shared" '"reward": 0\.893650793650793'
else
    skip "M4A1's public slice" "the shared material is not there"
fi
done_testing
