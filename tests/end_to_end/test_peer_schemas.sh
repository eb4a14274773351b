#!/bin/bash
# test_peer_schemas - every body that we send to OpenAI, judged by the schemas that OpenAI
# publishes: no view to three, several turns, parameters, streams.
# tests/run: limit 900
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/peers.sh"
schemas=$SHARED/data/openai-schemas.json
[ -n "$SHARED" ] && [ -f "$schemas" ] || skip_all "shared material (data/openai-schemas.json) is absent"
peers_install

known=$(peer_protocols)
speak=()
for protocol in openai-chat azure-openai openai-responses; do
    if grep -qx -e "$protocol" <<<"$known"; then
        speak+=("$protocol")
    else
        skip "$protocol" "this m4a1 does not know the protocol $protocol"
    fi
done
[ ${#speak[@]} -gt 0 ] || not_ok "the program speaks a protocol of OpenAI" "it knows: $known"

# A validator that accepts a wrong request judges nothing.
node "$PEERS/schemas.mjs" known "$schemas" >"$WORK/known" || not_ok "the schemas are read"
check_equal "thirteen requests are known to be good or bad" "$(wc -l <"$WORK/known")" 13
peer_verdicts <"$WORK/known"

mkdir "$WORK/case"
peer_start capture.mjs "$WORK/captured" || exit 1
node "$PEERS/schemas.mjs" cases "$WORK/case" "http://127.0.0.1:$PEER_PORT" "${speak[@]}"
export PEER_KEY=sk-peer-0123456789abcdef
check "a store is made" peer_store "$WORK/a.store" "$WORK/case/recipe.json"
check "every call is answered" "$M4A1" collect "$WORK/a.store" --allow-unpriced --quiet --max-attempts 1
calls=$(sqlite3 "$WORK/a.store" 'SELECT count(*) FROM call')
check_equal "the capture server has a body a call" "$(find "$WORK/captured" -name '*.json' | wc -l)" "$calls"
node "$PEERS/schemas.mjs" judge "$schemas" "$WORK/captured" | sort >"$WORK/judged"
check_equal "each is judged" "$(wc -l <"$WORK/judged")" "$calls"
check_equal "among them some without an image, and with three" \
    "$(grep -oE ': [03] images' "$WORK/judged" | sort -u | tr '\n' ' ')" ": 0 images : 3 images "
peer_verdicts <"$WORK/judged"
done_testing
