#!/bin/bash
# test_peer_mock_llm - openai-chat against mock-llm, a second server that nobody here wrote: it
# counts the images that reach it, streams, and answers with errors.
# tests/run: limit 600
. "$(dirname "$0")/../support/tap.sh"
. "$(dirname "$0")/../support/peers.sh"
peers_install

# The last rule that matches wins.  A turn's answer says what of it arrived.
cat >"$WORK/mock.yaml" <<'END'
streaming:
  chunkSize: 7
  chunkIntervalMs: 2
rules:
  - path: "/v1/chat/completions"
    match: "@"
    response:
      status: 200
      content: |
        {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "{{jmes request body.model}}",
         "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content":
           "{{jmes request length(body.messages)}} messages, {{jmes request length(body.messages[].content[?type=='image_url'][])}} images, now {{jmes request length(body.messages[-1].content[?type=='image_url'] || `[]`)}}"}}],
         "usage": {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}}
  - path: "/v1/chat/completions"
    match: "body.model == 'refused'"
    response:
      status: 401
      content: '{"error": {"message": "Incorrect API key provided.", "type": "invalid_request_error", "param": null, "code": "invalid_api_key"}}'
  - path: "/v1/chat/completions"
    match: "body.model == 'broken'"
    response:
      status: 503
      content: '{"error": {"message": "not now", "type": "server_error", "param": null, "code": null}}'
  - path: "/v1/chat/completions"
    match: "body.model == 'keyed' && headers.authorization != 'Bearer sk-peer-0123456789abcdef'"
    response:
      status: 401
      content: '{"error": {"message": "who are you?", "type": "invalid_request_error", "param": null, "code": null}}'
END
peer_start mock_llm.mjs "$WORK/mock.yaml" || exit 1
url=http://127.0.0.1:$PEER_PORT
mkdir "$WORK/case"
check "a recipe is written" node "$PEERS/mock_llm_case.mjs" "$WORK/case" "$url"
store=$WORK/a.store
check "a store is made" peer_store "$store" "$WORK/case/recipe.json"
export PEER_KEY=sk-peer-0123456789abcdef
check_status 3 "its calls are made" timeout 200 "$M4A1" collect "$store" --allow-unpriced --quiet --max-attempts 2

answers()
{
    sqlite3 -batch "$store" "SELECT group_concat(text, ' | ') FROM (SELECT r.text FROM response r
        JOIN call c USING (call_id) JOIN llm l USING (llm_id) WHERE l.name = '$1' ORDER BY response_id)"
}
attempts()
{
    sqlite3 -batch "$store" "SELECT group_concat(coalesce(error_class, 'ok') || ' ' || http_status, ', ') FROM
        (SELECT error_class, http_status FROM attempt JOIN call c USING (call_id) JOIN llm l USING (llm_id)
         WHERE l.name = '$1' ORDER BY attempt_id)"
}
counted='2 messages, 1 images, now 1 | 4 messages, 3 images, now 2 | 6 messages, 3 images, now 0'
check_equal "whole answers, every image arrives" "$(answers whole)" "$counted"
check_equal "streamed ones, too" "$(answers stream)" "$counted"
check_equal "the key arrives" "$(attempts keyed)" "ok 200, ok 200, ok 200"
check_equal "401 is not asked again" "$(attempts refused)" "auth 401"
check_equal "503 is" "$(attempts broken)" "server 503, server 503"
check_equal "usage of whole answers is kept" "$(sqlite3 "$store" "SELECT DISTINCT input_tokens || ' ' || output_tokens
    FROM response JOIN call USING (call_id) JOIN llm USING (llm_id) WHERE name = 'whole'")" "20 8"
done_testing
