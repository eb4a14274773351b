#!/bin/bash
# test_peer_sdks - the same dialogue through m4a1 and through the vendors' own clients: bodies,
# paths and headers are alike; and those clients understand `m4a1 simulate`.
# tests/run: limit 900
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/peers.sh"
peers_install
export PEER_KEY=sk-peer-0123456789abcdef

known=$(peer_protocols)
speak=()
for protocol in $(peer_table); do
    if grep -qx -e "$protocol" <<<"$known"; then
        speak+=("$protocol")
    else
        skip "$protocol" "this m4a1 does not know the protocol $protocol"
    fi
done

mkdir "$WORK/case"
peer_start capture.mjs "$WORK/captured" || exit 1
check "cases are written" node "$PEERS/sdks.mjs" cases "$WORK/case" "http://127.0.0.1:$PEER_PORT" "${speak[@]}"
check "a store is made" peer_store "$WORK/a.store" "$WORK/case/recipe.json"
check "every call is answered" "$M4A1" collect "$WORK/a.store" --allow-unpriced --quiet --max-attempts 1
check_equal "and with what the capture server says" "$(sqlite3 "$WORK/a.store" \
    "SELECT count(*) FROM response WHERE text NOT LIKE 'An answer: _äöü_.' OR stop_reason <> 'stop'
     OR input_tokens <> 10 OR output_tokens <> 3")" 0
# The pictures as they were sent, for the clients.
mkdir "$WORK/sent"
sqlite3 "$WORK/a.store" "SELECT writefile('$WORK/sent/' || v.name || '.jpg', f.bytes)
    FROM scene_frame s JOIN view v USING (view_id) JOIN frame f USING (frame_id)" >/dev/null
node "$PEERS/sdks.mjs" compare "$WORK/captured" "$WORK/sent" "${speak[@]}" >"$WORK/compared" 2>"$WORK/said" ||
    { not_ok "the clients ask"; note <"$WORK/said"; }
check_equal "three turns, whole and streamed, of each client are compared" \
    "$(wc -l <"$WORK/compared")" $((4 * $(sqlite3 "$WORK/a.store" 'SELECT count(*) FROM llm')))
peer_verdicts <"$WORK/compared"

# The other way round.
start_simulator --time-scale 0.001 || exit 1
model=$("$M4A1" init --print-recipe | sed -n 's/.*"url": "https:\/\/api.openai.com", "model": "\([^"]*\)".*/\1/p' | head -n 1)
node "$PEERS/sdks.mjs" clients "http://127.0.0.1:$SIM_PORT" "$model" "$WORK/sent/side.jpg" \
    >"$WORK/clients" 2>"$WORK/said" || { not_ok "the clients ask the simulator"; note <"$WORK/said"; }
peer_verdicts <"$WORK/clients"
done_testing
