#!/bin/bash
# test_peer_aimock - every protocol against aimock, a server that nobody here wrote: whole and
# streamed answers, images, several turns, and its faults.
# tests/run: limit 900
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/peers.sh"
peers_install

store=$WORK/a.store
sql() { sqlite3 -batch -noheader "$store" "$1"; }

known=$(peer_protocols)
check_equal "the program says which protocols it knows" "$(grep -cx openai-chat <<<"$known")" 1 ||
    done_testing
speak=()
for protocol in $(peer_table); do
    if grep -qx -e "$protocol" <<<"$known"; then
        speak+=("$protocol")
    else
        skip "$protocol" "this m4a1 does not know the protocol $protocol"
    fi
done

mkdir "$WORK/case"
peer_start aimock.mjs "$WORK/case" "${speak[@]}" || exit 1
aimock=http://127.0.0.1:$PEER_PORT
export PEER_KEY=sk-peer-0123456789abcdef
check "a store is made" peer_store "$store" "$WORK/case/recipe.json"
# Some calls fail for good, so the run ends with 3.
check_status 3 "its calls are made" timeout 300 "$M4A1" collect "$store" --allow-unpriced \
    --in-flight 32 --quiet --json
check_equal "nothing is left open" "$(sql "SELECT count(*) FROM attempt WHERE status IN ('sent', 'unknown')")" 0
curl -sS --noproxy '*' "$aimock/__aimock/journal?limit=100000" >"$WORK/journal.json"

# A line a case: classes of its attempts, answers, ms from the end of the first attempt to the
# beginning of the second.
sql "SELECT l.name || char(9) ||
        (SELECT group_concat(coalesce(error_class, 'ok'), ' ') FROM
            (SELECT a.error_class FROM attempt a JOIN call c USING (call_id)
             WHERE c.llm_id = l.llm_id ORDER BY attempt_id)) || char(9) ||
        coalesce((SELECT group_concat(text, '|') FROM
            (SELECT r.text FROM response r JOIN call c USING (call_id)
             WHERE c.llm_id = l.llm_id ORDER BY response_id)), '-') || char(9) ||
        coalesce((SELECT b.sent_ms - a.closed_ms FROM attempt a JOIN attempt b USING (call_id)
            JOIN call c USING (call_id)
            WHERE c.llm_id = l.llm_id AND a.number = 1 AND b.number = 2), 0) || char(30)
    FROM llm l" | tr '\n' '\f' | sed 's/\f*\x1e\f*/\n/g; s/\f/\\n/g' >"$WORK/got.tsv"

while IFS=$'\t' read -r name classes answers waits; do
    IFS=$'\t' read -r _ got_classes got_answers got_waits < <(grep -e "^$name	" "$WORK/got.tsv")
    if ! grep -Eqx -e "$classes" <<<"$got_classes"; then
        not_ok "$name" "attempts: $got_classes instead of $classes"
        sql "SELECT a.number, a.error_class, a.http_status, a.error FROM attempt a JOIN call c USING (call_id)
            JOIN llm l USING (llm_id) WHERE l.name = '$name'" | note
    elif [ "$got_answers" != "$answers" ]; then
        not_ok "$name" "answered: $got_answers
instead of: $answers"
    elif [ "$got_waits" -lt "$waits" ]; then
        not_ok "$name" "asked again after $got_waits ms instead of $waits"
    else
        ok "$name: $got_classes"
    fi
done <"$WORK/case/expected.tsv"

# What aimock saw against what the store holds.  Its journal has no model for a request that
# chaos ended early, but every request has an entry.
check_equal "aimock saw every attempt, and nothing else" \
    "$(jq '[.[] | select(.method == "POST")] | length' "$WORK/journal.json")" \
    "$(sql 'SELECT count(*) FROM attempt')"
for protocol in "${speak[@]}"; do
    for mode in whole stream; do
        name=$protocol.$mode.talk
        check_equal "$name: a request a turn" \
            "$(jq --arg m "$name" '[.[] | select(.body.model == $m)] | length' "$WORK/journal.json")" 3
        jq -r --arg m "$name" '[.[] | select(.body.model == $m)] | last | .body.messages[] |
            .role + ":" + (.content | if type == "string" then . else
                ([.[] | select(.type == "text") | .text] | join(" ")) end | gsub("\n"; " "))' \
            "$WORK/journal.json" | sed 's/ *View [a-z_]*://g' >"$WORK/said"
        check_equal "$name: roles of the last one" \
            "$(grep -oE '^(system|user|assistant)' "$WORK/said" | tr '\n' ' ')" \
            "system user assistant user assistant user "
        check_equal "$name: it has the history" "$(grep -cE \
            "^(user: *Question [012]: what is on the .table.\?|assistant:. Turn [01] of $name: .*)\$" "$WORK/said")" 5
    done
    # For the rest aimock drops images from its journal; test_peer_sdks.sh looks at those.
    case $protocol in openai-chat | azure-openai)
        check_equal "$protocol: images of the last turn" \
            "$(jq --arg m "$protocol.whole.talk" '[.[] | select(.body.model == $m)] | last |
                [.body.messages[].content | arrays | .[] | select(.type == "image_url") | .image_url.url |
                select(startswith("data:image/jpeg;base64,/9j/"))] | length' "$WORK/journal.json")" 3 ;;
    esac
done

# Streams: time of the first token; whole answers have none.
check_equal "streams tell their first token" "$(sql "SELECT count(*) FROM attempt a JOIN call c USING (call_id)
    JOIN llm l USING (llm_id) WHERE l.name LIKE '%.stream.talk' AND a.first_token_ns > 0
    AND a.first_token_ns BETWEEN a.first_byte_ns AND a.latency_ns")" $((3 * ${#speak[@]}))
check_equal "whole answers do not" "$(sql "SELECT count(*) FROM attempt a JOIN call c USING (call_id)
    JOIN llm l USING (llm_id) WHERE l.name LIKE '%.whole.%' AND a.first_token_ns IS NOT NULL")" 0
check_equal "every answer ended by itself" "$(sql "SELECT count(*) FROM response WHERE stop_reason <> 'stop'")" 0
check_equal "the model is kept" "$(sql "SELECT count(*) FROM response r JOIN call c USING (call_id)
    JOIN llm l USING (llm_id) WHERE r.model IS NOT NULL AND r.model <> l.model")" 0

# Tokens: aimock reports 123 and 45 where it can.
for protocol in "${speak[@]}"; do
    node -e 'import(process.argv[1]).then(m => process.exit(m.protocols[process.argv[2]].usage ? 0 : 1))' \
        "$PEERS/protocols.mjs" "$protocol" || continue
    check_equal "$protocol: tokens" "$(sql "SELECT DISTINCT (input_tokens + cache_read_tokens + cache_write_tokens)
        || ' ' || (output_tokens + reasoning_tokens) FROM response r JOIN call c USING (call_id) JOIN llm l USING (llm_id)
        WHERE l.name LIKE '$protocol.%'")" "123 45"
done
check_equal "the key is nowhere in the store" \
    "$(strings -n 8 "$store" | grep -c "$PEER_KEY")" 0
done_testing
