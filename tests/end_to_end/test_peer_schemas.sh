#!/bin/bash
# test_peer_schemas - every body that we send to OpenAI, judged by the schemas that OpenAI
# publishes: no view to three, several turns, parameters, streams, texts and sounds.
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
check_equal "sixteen requests are known to be good or bad" "$(wc -l <"$WORK/known")" 16
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

# Views of other kinds, to the protocols of OpenAI that listen.
mkdir -p "$WORK/kinds/scenes/room"
cp "$SHARED/data/views/side.jpg" "$WORK/kinds/scenes/room/"
printf 'temperature 21.5\nsays "open" \342\202\254\n' >"$WORK/kinds/scenes/room/log.txt"
{ # a tenth of a second: 8 kHz, mono, 16 bits
    printf 'RIFF\144\006\0\0WAVEfmt \020\0\0\0\001\0\001\0\100\037\0\0\200\076\0\0\002\0\020\0data\100\006\0\0'
    head -c 1600 /dev/zero
} >"$WORK/kinds/scenes/room/mic.wav"
listening=()
for protocol in "${speak[@]}"; do
    [ "$protocol" = openai-responses ] || listening+=("$protocol")
done
peer_start capture.mjs "$WORK/captured-kinds" || exit 1
node "$PEERS/schemas.mjs" kinds "$WORK/kinds" "http://127.0.0.1:$PEER_PORT" "${listening[@]}"
{
    "$M4A1" init "$WORK/kinds.store" --recipe "$WORK/kinds/recipe.json" --quiet &&
        "$M4A1" ingest "$WORK/kinds.store" "$WORK/kinds/scenes" --quiet &&
        "$M4A1" plan "$WORK/kinds.store" --quiet
} >"$WORK/log" 2>&1 || note <"$WORK/log"
check "views of other kinds are answered" "$M4A1" collect "$WORK/kinds.store" --allow-unpriced --quiet --max-attempts 1
node "$PEERS/schemas.mjs" judge "$schemas" "$WORK/captured-kinds" | sort >"$WORK/judged-kinds"
check_equal "each is judged" "$(wc -l <"$WORK/judged-kinds")" "$((6 * ${#listening[@]}))"
check_equal "with pictures and sounds" "$(grep -c '1 images, 1 sounds' "$WORK/judged-kinds") $(
    grep -c '0 images, 1 sounds' "$WORK/judged-kinds")" "$((2 * ${#listening[@]})) $((2 * ${#listening[@]}))"
peer_verdicts <"$WORK/judged-kinds"
done_testing
