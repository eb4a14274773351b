#!/bin/bash
# test_live - policies play held-out sessions against llms, killed in between and resumed,
# and an llm chooses as an agent; all against the simulator.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
command -v sqlite3 >/dev/null || skip_all "the sqlite3 program is not installed"
cd "$WORK" || exit 1

sql() { sqlite3 -batch -noheader -readonly "$1" "$2"; }

# A study as `m4a1 demo` makes one: scenes, sessions, answers, scores, a split, policies.
start_simulator --seed 1 --time-scale 0.001 || exit 1
sim=http://127.0.0.1:$SIM_PORT
check "scenes" "$M4A1" demo --scenes scenes --n-scenes 6 --quiet
check "a store" "$M4A1" init a.m4a1
check "with scenes" "$M4A1" ingest a.m4a1 scenes --quiet
check "a plan" "$M4A1" plan a.m4a1 --sessions 30 --quiet
check "collected" "$M4A1" collect a.m4a1 --simulator "$sim" --quiet
check "judged" "$M4A1" annotate a.m4a1 --simulator "$sim" --quiet
check "split" "$M4A1" split a.m4a1 main --by scene
check "policies" "$M4A1" train a.m4a1 --split main --seeds 2 --steps 1000 --out p --quiet
calls=$(sql a.m4a1 "SELECT count(*) FROM call")
n_test=$(jq '.split.test | length' p/ppo-seed0.json)

# ---- usage ----
check_status 2 "live play needs a policy" "$M4A1" evaluate a.m4a1 --live
check_status 2 "options of live play need it" "$M4A1" evaluate a.m4a1 --dry-run
check_output "and are named" 'dry-run is for --live'
check_status 2 "caps are about calls" "$M4A1" evaluate a.m4a1 --max-usd 1
check_status 2 "an oracle has no part in it" "$M4A1" evaluate a.m4a1 p/ppo-seed0.json --live --oracle
check_status 1 "the study itself is not played into" "$M4A1" evaluate a.m4a1 p/ppo-seed0.json --live --into a.m4a1 --simulator "$sim"
check_output "it is said why" 'a.m4a1 is the study itself'
check "another store" "$M4A1" init other.m4a1
check_status 1 "nor is another study" "$M4A1" evaluate a.m4a1 p/ppo-seed0.json --live --into other.m4a1 --simulator "$sim"
check_output "it is said what it is not" 'something else than live play'
check "an export" "$M4A1" export a.m4a1 data
check_status 2 "an export cannot be played" "$M4A1" evaluate data p/ppo-seed0.json --live

# ---- the dry run ----
check "a dry run" "$M4A1" evaluate a.m4a1 p/ppo-seed0.json --live --dry-run --quiet
check_output "tells calls" "would play $n_test sessions with [0-9]+ turns"
check_output "and dollars, by what the study measured" '[0-9]+ answers, simulated'
check_equal "and writes nothing" "$(test -e a.m4a1.live && echo there)$(sql a.m4a1 "SELECT count(*) FROM call")" "$calls"

# ---- to the end ----
check "undisturbed play" "$M4A1" evaluate a.m4a1 p/ppo-seed0.json --live --simulator "$sim" --quiet --json
cp "$TAP_OUT" .out
grep -v '^[0-9A-Z].*\.$' .out >whole.json
check_equal "plays every test session" "$(jq '.policies[0].played' whole.json)" "$n_test"
check_equal "which are those of the policy" "$(jq -c '[.policies[0].sessions[].id]' whole.json)" "$(jq -c '.split.test' p/ppo-seed0.json)"
check_equal "with an interval that holds the mean" "$(jq '.policies[0].response.played | .low <= .value and .value <= .high' whole.json)" true
check_equal "beside the promise" "$(jq '.policies[0].response | (.played.value - .promised.value - .difference.value) | fabs < 1e-9' whole.json)" true
check_equal "the mean is that of the store" "$(jq '.policies[0].response.played.value * 1e6 | round' whole.json)" \
    "$(sql a.m4a1.live "SELECT CAST(round(1e6 * avg(x)) AS INTEGER) FROM (SELECT avg(iif(lower(answer) LIKE '%sorry%' OR lower(answer) LIKE '%i don_t have%' OR lower(answer) LIKE '%can_t%', 0, score)) AS x FROM interaction GROUP BY session_id)")"
check_equal "prompts and scenes are the study's" "$(sql a.m4a1.live "SELECT group_concat(x, ' ') FROM (SELECT c.name || ' ' || p.name AS x FROM session s JOIN scene c USING (scene_id) JOIN turn t USING (session_id) JOIN prompt p USING (prompt_id) ORDER BY 1)")" \
    "$(sql a.m4a1 "SELECT group_concat(x, ' ') FROM (SELECT c.name || ' ' || p.name AS x FROM split_session JOIN session s USING (session_id) JOIN scene c USING (scene_id) JOIN turn t USING (session_id) JOIN prompt p USING (prompt_id) WHERE part = 'test' ORDER BY 1)")"
check_equal "actions are certain" "$(sql a.m4a1.live "SELECT count(*) FROM call WHERE purpose = 'path' AND probability < 1")" 0
check "the store of play keeps every invariant" "$M4A1" check a.m4a1.live
check_equal "the study is as it was" "$(sql a.m4a1 "SELECT count(*) FROM call")" "$calls"
check_equal "but for the opening" "$(sql a.m4a1 "SELECT count(*) FROM evaluation_opening")" 1
attempts=$(sql a.m4a1.live "SELECT count(*) FROM attempt")
check "again" "$M4A1" evaluate a.m4a1 p/ppo-seed0.json --live --simulator "$sim" --quiet
check_output "figures without a call" 'Nothing was sent'
check_output "in a table" '^response, a turn .*\[.*\]'
check_equal "truly" "$(sql a.m4a1.live "SELECT count(*) FROM attempt")" "$attempts"
check "a second policy joins" "$M4A1" evaluate a.m4a1 p/ppo-seed0.json p/ppo-seed1.json --live --simulator "$sim" --quiet
check_output "with its own figures" 'ppo-seed1.json: '"$n_test"' of '"$n_test"

# ---- a cap, a kill, and on ----
stop_simulator
start_simulator --seed 1 --time-scale 0.05 || exit 1
sim=http://127.0.0.1:$SIM_PORT
live=("$M4A1" evaluate a.m4a1 p/ppo-seed0.json --live --into killed --simulator "$sim" --quiet)
check_status 3 "a cap stops it" "${live[@]}" --max-usd 0.02
check_output "and says so" 'The cap of .0.0200 is reached'
check_output "nothing was played to its end, or that" "[0-9]+ of $n_test test sessions played"
"${live[@]}" >killed.out 2>&1 &
pid=$!
before=$(sql killed "SELECT count(*) FROM response")
for _ in $(seq 100); do
    [ "$(sql killed "SELECT count(*) FROM response")" -gt $((before + 5)) ] && break
    sleep 0.02
done
kill -KILL $pid
wait $pid 2>/dev/null
check_equal "it is killed before its end" "$(sql killed "SELECT count(*) < $attempts FROM attempt WHERE status = 'ok'")" 1
check "the same command goes on" "${live[@]}" --json
grep -v '^[0-9A-Z].*\.$' "$TAP_OUT" >resumed.json
figures='.policies[0] | [.played, .response.played, .response.promised, .usage_usd.played]'
check_equal "to the same figures" "$(jq -c "$figures" resumed.json)" "$(jq -c "$figures" whole.json)"
check_equal "with no answer twice" "$(sql killed "SELECT count(*) FROM (SELECT 1 FROM response GROUP BY call_id HAVING count(*) > 1)")" 0
check "and every invariant" "$M4A1" check killed
stop_simulator

# ---- an llm as the agent ----
start_simulator --seed 1 --time-scale 0.001 || exit 1
sim=http://127.0.0.1:$SIM_PORT
agent=("$M4A1" evaluate a.m4a1 --split main --seed 0 --agent cloud --simulator "$sim" --quiet)
check_status 1 "an llm that is not there" "$M4A1" evaluate a.m4a1 --split main --seed 0 --agent nosuch --simulator "$sim"
check_output "those there are are named" 'it has local, cloud, reference, judge'
check_status 2 "an export configures no llm" "$M4A1" evaluate data --seed 0 --agent cloud --simulator "$sim"
check_status 3 "a cap stops the questions" "${agent[@]}" --max-usd 0.0001
check_output "and is named" 'spending cap is reached'
check "the agent is asked" "${agent[@]}"
check_output "has a row" '^Agent cloud +1 '
check_output "with its own seconds and dollars" '^[0-9.]+ s and .[0-9.]+, which its row does not count'
check "as JSON" "${agent[@]}" --json
grep -v '^[0-9A-Z].*\.$' "$TAP_OUT" >agent.json
turns=$(sql a.m4a1 "SELECT count(*) FROM split_session JOIN turn USING (session_id) WHERE part = 'test'")
check_equal "one decision a turn" "$(jq .agent.decisions agent.json)" "$turns"
check_equal "equal states are one call" "$(sql a.m4a1 "SELECT count(*) - count(DISTINCT text) FROM call WHERE purpose = 'agent'")" 0
check_equal "asked once" "$(sql a.m4a1 "SELECT count(*) FROM attempt JOIN call USING (call_id) WHERE purpose = 'agent'")" "$(jq .agent.calls agent.json)"
check_equal "replies without a number are counted" "$(jq '.agent.failed > 0' agent.json)" \
    "$(sql a.m4a1 "SELECT iif(count(*) > 0, 'true', 'false') FROM response JOIN call USING (call_id) WHERE purpose = 'agent' AND response.text NOT GLOB '*[0-9]*'")"
check "the study keeps its invariants" "$M4A1" check a.m4a1
check "and its digest: policies still fit" "$M4A1" evaluate a.m4a1 p/ppo-seed0.json --quiet
done_testing
