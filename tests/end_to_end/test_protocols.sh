#!/bin/bash
# test_protocols.sh - every protocol, whole and as a stream, from recipe to store: the
# collectors against the simulator, with its faults, one kind after the other.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

[ -n "$SHARED" ] && [ -d "$SHARED/data/views" ] || skip_all "shared material (data/views) is absent"
command -v sqlite3 >/dev/null || skip_all "the sqlite3 program is not installed"
command -v curl >/dev/null || skip_all "curl, the program, is not installed"

export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
# protocol, the name of its limit, further parameters that it needs
PROTOCOLS='openai-chat max_completion_tokens
azure-openai max_completion_tokens
openai-responses max_output_tokens
anthropic max_tokens
gemini maxOutputTokens
ollama num_predict "num_ctx":16384,
bedrock-converse maxTokens'
mkdir -p "$WORK/scenes/room"
cp "$SHARED"/data/views/*.jpg "$WORK/scenes/room"
store=$WORK/a.m4a1
sql() { sqlite3 -batch -noheader "$store" "$1"; }

# write_recipe SESSIONS: an llm a protocol and way of answering, each with its own dialogues
# of two turns: two views, then a third.
write_recipe()
{
    local protocol limit more stream name model k llms='' prices='' prompts=''
    # Long enough to be cached with the turns before.
    local long
    long=$(printf 'You answer in “few” words, and this is sentence %d of the rules. ' $(seq 80))
    : >"$WORK/sessions.jsonl"
    for k in $(seq $((2 * $1))); do
        prompts+="${prompts:+, }{\"id\": \"p$k\", \"task\": \"Query\","
        prompts+=" \"text\": \"Where is knife number $k, and is it lying safely?\"}"
    done
    while read -r protocol limit more; do
        for stream in false true; do
            name=${protocol}-$stream
            model=sim-$name
            [ "$protocol" != bedrock-converse ] || model=eu.sim-$stream-v2:0
            llms+="${llms:+, }\"$name\": {\"role\": \"cloud\", \"protocol\": \"$protocol\","
            llms+=" \"url\": \"http://127.0.0.1:1\", \"model\": \"$model\", \"slots\": 4,"
            llms+=" \"stream\": $stream, \"max_attempts\": 4, \"parameters\": {$more\"$limit\": 300}}"
            prices+="${prices:+, }{\"llm\": \"$name\", \"from\": \"2026-01-01\","
            prices+=" \"input_usd\": 1, \"output_usd\": 2, \"source\": \"made up\"}"
            for k in $(seq "$1"); do
                printf '{"scene": "room", "prompts": ["p%d", "p%d"], "actions": [' \
                    $((2 * k - 1)) $((2 * k))
                printf '{"llm": "%s", "views": ["side", "overhead"]}, ' "$name"
                printf '{"llm": "%s", "views": ["first_person"]}]}\n' "$name"
            done >>"$WORK/sessions.jsonl"
        done
    done <<<"$PROTOCOLS"
    cat >"$WORK/recipe.json" <<END
{"m4a1_recipe": 1, "name": "protocols",
 "views": [{"name": "first_person", "kind": "image", "privacy": 1},
  {"name": "side", "kind": "image", "privacy": 1},
  {"name": "overhead", "kind": "image", "privacy": 1}],
 "tasks": ["Query"], "prompts": [$prompts], "sessions": {"script": "sessions.jsonl"},
 "system_prompt": "$long", "actions": {"*": "all_subsets"},
 "llms": {$llms}, "prices": [$prices]}
END
}

# new_store: planned, with nothing answered.
new_store()
{
    rm -f "$store"*
    "$M4A1" init "$store" --recipe "$WORK/recipe.json" &&
        "$M4A1" ingest "$store" "$WORK/scenes" --quiet &&
        "$M4A1" plan "$store" --quiet
}

# collect SIMULATOR-OPTION...: against a new simulator; what it counted stays in $WORK/stats.
collect()
{
    local rc=0
    start_simulator --recipe "$WORK/recipe.json" --time-scale 0 "$@" || return 1
    "$M4A1" collect "$store" --simulator "http://127.0.0.1:$SIM_PORT" --in-flight 56 \
        --quiet || rc=$?
    curl -sS --noproxy '*' "http://127.0.0.1:$SIM_PORT/simulator/stats" >"$WORK/stats"
    stop_simulator
    return $rc
}

# Azure blocks some prompts with a 400, which is the end of that dialogue; all other calls
# have to be answered.
unanswered="SELECT count(*) FROM call_state s JOIN call c USING (call_id) JOIN llm l USING (llm_id)
    WHERE s.state <> 'done' AND NOT (l.protocol = 'azure-openai' AND EXISTS (SELECT 1 FROM attempt a
    JOIN call o USING (call_id) JOIN turn t ON t.turn_id = o.turn_id JOIN turn u ON u.turn_id = c.turn_id
    WHERE t.session_id = u.session_id AND a.error_class = 'filter'))"
unknown="SELECT count(*) FROM response WHERE input_tokens IS NULL OR cache_read_tokens IS NULL
    OR cache_write_tokens IS NULL OR output_tokens IS NULL OR reasoning_tokens IS NULL"

write_recipe 4
check "a recipe with an llm a protocol, whole and as a stream" new_store
planned=$(sql 'SELECT count(*) FROM call')
check_equal "is planned" "$planned" $((14 * 4 * 2))
collect >"$WORK/out" 2>&1
note <"$WORK/out"
check_equal "every call is answered, or refused by Azure's filter" "$(sql "$unanswered")" 0
check_equal "all answers are marked as simulated" \
    "$(sql 'SELECT count(*) FROM response WHERE NOT simulated')" 0
check_equal "each of the five counts of tokens is known" "$(sql "$unknown")" 0
check_equal "every stream has a time of its first token" \
    "$(sql "SELECT count(*) FROM response r JOIN attempt a USING (attempt_id) JOIN call c ON
        c.call_id = a.call_id JOIN llm l USING (llm_id) WHERE l.name LIKE '%-true'
        AND r.text <> '' AND a.first_token_ns IS NULL")" 0
check_equal "vendors that give a request an id have given one" \
    "$(sql "SELECT count(*) FROM response r JOIN attempt a USING (attempt_id) JOIN call c ON
        c.call_id = a.call_id JOIN llm l USING (llm_id) WHERE l.protocol <> 'ollama'
        AND a.request_id IS NULL")" 0
check_equal "no cached share is made up where a server tells of no cache" "$("$M4A1" stats latency \
    "$store" --json | jq -r '[.llms[] | select(.cached_share == null).llm |
    sub("[^a-z].*"; "")] | unique | join(" ")')" ollama
check "cached tokens are among them" test "$(sql 'SELECT sum(cache_read_tokens) FROM response')" -gt 1000
check_equal "but Ollama has none" "$(sql "SELECT sum(r.cache_read_tokens) FROM response r JOIN
    call c USING (call_id) JOIN llm l USING (llm_id) WHERE l.protocol = 'ollama'")" 0

# The server's own count, a line "model prompt completion".
awk -F'"' '/^    "[^"]*": [{]/ { model = $2 }
    /^      "prompt_tokens"/ { gsub(/[^0-9]/, "", $3); prompt = $3 }
    /^      "completion_tokens"/ { gsub(/[^0-9]/, "", $3); print model, prompt, $3 }' \
    "$WORK/stats" | sort >"$WORK/server"
sql "SELECT l.model || ' ' || sum(r.input_tokens + r.cache_read_tokens + r.cache_write_tokens)
    || ' ' || sum(r.output_tokens + r.reasoning_tokens) FROM response r JOIN call c USING (call_id)
    JOIN llm l USING (llm_id) GROUP BY l.model" | sort >"$WORK/client"
check "the tokens in the store are those that the server billed, whatever lies inside of what" \
    diff "$WORK/server" "$WORK/client"

# --- faults that a retry cures ---

new_store >"$WORK/out" 2>&1
collect --faults 0.2 --seed 2 >"$WORK/out" 2>&1
note <"$WORK/out"
check_equal "with one fault in five every call is answered" "$(sql "$unanswered")" 0
check_equal "and each of its tokens known" "$(sql "$unknown")" 0
check "faults were among them" test "$(sql "SELECT count(*) FROM attempt WHERE status = 'failed'")" -gt 10

# --- one kind after the other, each at its every occasion ---

# classes: of the failed attempts, as "class:llms with it" (14 llms, 7 of them stream).
classes="SELECT coalesce(group_concat(error_class || ':' || n, ' '), '') FROM (SELECT error_class,
    count(DISTINCT llm_id) AS n FROM attempt JOIN call USING (call_id) WHERE error_class IS NOT NULL
    AND error_class NOT IN ('stale_connection', 'filter') GROUP BY 1 ORDER BY 1)"
write_recipe 1
while read -r kind answered want; do
    new_store >"$WORK/out" 2>&1
    collect --faults 1 --faults-kind "$kind" >"$WORK/out" 2>&1
    check_equal "$kind: what became of the attempts" "$(sql "$classes")" "$want"
    check_equal "$kind: calls are answered in the end: $answered" \
        "$([ "$(sql "$unanswered")" -eq 0 ] && echo yes || echo no)" "$answered"
    [ "$kind" != no_usage ] || check_equal "no_usage: what was not said is unknown, never 0" \
        "$(sql 'SELECT count(*) FROM response WHERE input_tokens IS NOT NULL OR output_tokens IS NOT NULL')" 0
done <<'END'
overloaded yes server:2
error_in_200 yes malformed:1 server:13
malformed yes malformed:14
bad_utf8 yes malformed:14
no_end yes truncated:7
slow_start yes
no_usage yes
quota no quota:14
payment no quota:14
END

done_testing
