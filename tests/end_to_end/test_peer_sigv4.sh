#!/bin/bash
# test_peer_sigv4 - what m4a1 signs for Bedrock, signed once more by AWS's own signer: model ids
# with colons, slashes and other signs, with a session token and without.
# tests/run: limit 600
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/peers.sh"
peers_install
export AWS_ACCESS_KEY_ID=AKIDEXAMPLE0PEER AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYPEERSECRET
unset AWS_SESSION_TOKEN

for token in "" "a/session+token=="; do
    name=${token:+with a session token}
    name=${name:-without a session token}
    case=$WORK/case${token:+.token}
    [ -z "$token" ] || export AWS_SESSION_TOKEN=$token
    mkdir "$case"
    peer_start capture.mjs "$case/captured" || exit 1
    url=http://127.0.0.1:$PEER_PORT
    check "$name: cases are written" node "$PEERS/sigv4.mjs" cases "$case" "$url"
    check "$name: a store is made" peer_store "$case/a.store" "$case/recipe.json"
    check "$name: every call is answered" \
        "$M4A1" collect "$case/a.store" --allow-unpriced --quiet --max-attempts 1
    node "$PEERS/sigv4.mjs" verify "$case/captured" "$url" "$token" >"$case/verdicts" 2>"$case/said" ||
        { not_ok "$name: the signer runs"; note <"$case/said"; }
    check_equal "$name: four requests are signed again" "$(wc -l <"$case/verdicts")" 4
    peer_verdicts < <(sed "s/^/$name: /" "$case/verdicts")
    check "$name: the secret is neither in what was sent nor in the store" \
        bash -c '! grep -rqaF -e "$AWS_SECRET_ACCESS_KEY" "$0"' "$case"
done

unset AWS_SECRET_ACCESS_KEY
rm -f "$WORK/b.store"
check "a store is made" peer_store "$WORK/b.store" "$WORK/case/recipe.json"
"$M4A1" collect "$WORK/b.store" --allow-unpriced --quiet >"$WORK/out" 2>&1
check_equal "a missing secret is refused before anything is sent" "$?" 1
check "and named" grep -q AWS_SECRET_ACCESS_KEY "$WORK/out"
done_testing
