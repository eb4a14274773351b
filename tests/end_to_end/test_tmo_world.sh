#!/bin/bash
# test_tmo_world.sh - the default world from the command line: several llms, actions from a
# file, costs of the data, constraints and the shield.
. "$(dirname "$0")/../support/tap.sh"
cd "$WORK" || exit 1

# 10 sessions of 3 turns over two views: phi takes 4 s, gpt 2 s and 1 s a view, claude 3 s.
python3 - <<'END' >three.json
import json
llms = [("phi", 0, 4, 0.0), ("gpt", 1, 2, 0.001), ("claude", 1, 3, 0.002)]
sessions = []
for i in range(10):
    held, turns = [], []
    for t in range(3):
        name, cloud, seconds, usd = llms[(i + t) % 3]
        new = cloud and (i + t) % 2 and (t + i // 3) % 2 not in held
        if new:
            held = held + [(t + i // 3) % 2]
        seen = len(held) if cloud else 0
        turns.append({"question": "q%d" % (i % 4), "task_cat": "ab"[t % 2], "action": cloud,
            "llm": name, "image_index": held if new else None, "answer": "yes",
            "score": 0.5 + cloud, "interaction_time": seconds + seen, "usage_cost": usd})
    sessions.append({"id": i, "image_paths": ["Scenario_%d_Modality_%d_Activity_0.jpg" % (i, v)
        for v in range(2)], "interactions": turns, "association_score": [[0.2, 0.3]] * 3})
print(json.dumps(sessions))
END
traced() { "$M4A1" trace three.json "$@" --json >told.json; }
trained() { "$M4A1" train three.json "$@" --json >told.json; }
tell() { python3 -c 'import json, sys; d = json.load(open("told.json")); print(eval(sys.argv[1]))' "$1"; }

check "three llms are traced" traced --session 0 --actions 0,5,6
check_equal "their llms are one-hot, tasks too" \
    "$(tell 'len(d["sessions"][0]["steps"][0]["observation"])')" $((5 * (3 + 2 + 2 + 2)))
check_equal "costs are those of the data, by the views that are seen" \
    "$(tell '[s["latency_s"] for s in d["sessions"][0]["steps"]]')" "[4, 2, 3]"
check_equal "a view that leaves the device counts once" \
    "$(tell '[s["privacy"] for s in d["sessions"][0]["steps"]]')" "[0, 0, 1]"
check "for people" "$M4A1" trace three.json --session 0 --actions 0,5
check_output "the legend names them" 'phi, claude, gpt|one of phi'
check_output "and what the dialogue holds" 'views that the dialogue holds'

check "a shield is asked what it leaves" \
    traced --session 0 --actions 0 --constraint latency=9
# gpt takes 2 s, and 1 s more for a view that the dialogue holds; phi 4 s, claude 3 s.
check_equal "as many turns must still fit as may come" \
    "$(tell '[s["allowed"] for s in d["sessions"][0]["steps"]]')" \
    "[[0, 1, 5, 6, 7], [1, 5], [5]]"
check_equal "and what remains is told" \
    "$(tell '[s["constraints"][0]["remaining"] for s in d["sessions"][0]["steps"]]')" "[5, 1, -3]"
check "budgets of a played session" traced --session 0 --actions 5 \
    --constraint latency=9 --constraint privacy=2:2 --budget 6,0
check_equal "as many as constraints" "$(tell \
    '[c["horizon"] for c in d["sessions"][0]["steps"][0]["constraints"]]')" "[0, 2]"
check_status 2 "one is too few" "$M4A1" trace three.json --session 0 \
    --constraint latency=9 --constraint privacy=2 --budget 6
check_output "the message says how many" 'expected 2 budgets'
check_status 2 "a strange constraint is refused" \
    "$M4A1" trace three.json --session 0 --constraint money=3
check_output "those there are are named" 'latency, usage, privacy'

echo '[{"llm": "gpt", "views": ["view_0"]}, {"llm": "phi", "views": []}]' >list.json
check "actions from a file" "$M4A1" trace three.json --session 0 --actions 0,1 --space list.json
check_output "in their order" 'action 0 \(gpt \+ view_0\)'
check_output "answers of others are left out, and counted" 'are of no listed action'
echo '[{"llm": "bard", "views": []}]' >nobody.json
check_status 2 "an llm that is not there is refused" \
    "$M4A1" trace three.json --session 0 --space nobody.json
check_output "by name" '"bard"'

check "a policy is trained under the shield" trained --steps 500 --seeds 2 \
    --constraint latency=9 --out policies
check_equal "and exceeds in no session" "$(tell '[p["over"] for p in d["policies"]]')" "[0, 0]"
check "evaluated" "$M4A1" evaluate three.json policies/*.json
check_output "with the constraint by name" 'latency <= 9 s'
check_status 2 "profiles end at their views, and say so, or know both" \
    "$M4A1" trace three.json --session 0 --costs profile --device Abacus
done_testing
