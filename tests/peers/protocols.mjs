// protocols.mjs - what tests against peers know of each wire protocol: one line a protocol.
//
//   parameters   a cap of 64 tokens, no randomness, a seed where there is one, in its own names
//   options      of the llm in a recipe, where the protocol has some
//   url          behind the server's address
//   whole, stream  the path of a request as the vendor has it, to be found on the wire
//   usage        aimock reports the usage of a fixture (of the others it says 0, or nothing)
//   error        how the vendor writes an error of its server
//
// A new protocol joins all tests of tests/end_to_end/test_peer_aimock.sh by its line here, and
// those of test_peer_sdks.sh by a function in sdks.mjs as well.
export const protocols = {
  'openai-chat': {
    parameters: { max_completion_tokens: 64, temperature: 0, seed: 7 },
    whole: '/v1/chat/completions',
    usage: true,
  },
  'azure-openai': {
    parameters: { max_completion_tokens: 64, temperature: 0, seed: 7 },
    whole: '/openai/deployments/{model}/chat/completions',
    usage: true,
  },
  'openai-responses': {
    parameters: { max_output_tokens: 64, temperature: 0 },
    whole: '/v1/responses',
    usage: true,
  },
  anthropic: {
    parameters: { max_tokens: 64 },
    whole: '/v1/messages',
    usage: true,
  },
  gemini: {
    parameters: { maxOutputTokens: 64, temperature: 0, seed: 7 },
    whole: '/v1beta/models/{model}:generateContent',
    stream: '/v1beta/models/{model}:streamGenerateContent',
    usage: true,
  },
  ollama: {
    parameters: { num_predict: 64, temperature: 0, seed: 7, num_ctx: 8192 },
    whole: '/api/chat',
  },
  'bedrock-converse': {
    parameters: { maxTokens: 64, temperature: 0 },
    whole: '/model/{model}/converse',
    stream: '/model/{model}/converse-stream',
  },
};
