// protocols.mjs - what tests against peers know of each wire protocol: one line a protocol.
//
//   parameters   a cap of 64 tokens, no randomness, a seed where there is one, in its own names
//   options      of the llm in a recipe, where the protocol has some
//   usage        aimock reports the usage of a fixture (of the others it says 0, or nothing)
//
// A new protocol joins all tests of tests/end_to_end/test_peer_aimock.sh by its line here, and
// those of test_peer_sdks.sh by a function in sdks.mjs as well.
export const protocols = {
  'openai-chat': {
    parameters: { max_completion_tokens: 64, temperature: 0, seed: 7 },
    usage: true,
  },
  'azure-openai': {
    parameters: { max_completion_tokens: 64, temperature: 0, seed: 7 },
    usage: true,
  },
  'openai-responses': {
    parameters: { max_output_tokens: 64, temperature: 0 },
    usage: true,
  },
  anthropic: {
    // As the SDK asks; the older versions differ in headers only.
    parameters: { max_tokens: 64 },
    options: { anthropic_version: '2026-10-21' },
    usage: true,
  },
  gemini: {
    parameters: { maxOutputTokens: 64, temperature: 0, seed: 7 },
    usage: true,
  },
  ollama: {
    parameters: { num_predict: 64, temperature: 0, seed: 7, num_ctx: 8192 },
  },
  'bedrock-converse': {
    parameters: { maxTokens: 64, temperature: 0 },
  },
};
