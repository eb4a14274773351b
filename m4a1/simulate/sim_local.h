/* sim_local.h - what servers tell of themselves and their models beside answering. */
#ifndef M4A1_SIMULATE_SIM_LOCAL_H
#define M4A1_SIMULATE_SIM_LOCAL_H

#include "m4a1/http/http.h"
#include "m4a1/simulate/simulate.h"

/* Fill answer where the request is one of these; returns whether it is:
 *   GET  /v1/models                    OpenAI's and Anthropic's list
 *   GET  /v1beta/models                Gemini's list
 *   GET  /api/tags, /api/ps, /api/version; POST /api/show        Ollama's
 *   GET  /health */
int sim_local(const struct simulate_options *options, const struct http_request *request,
    struct http_answer *answer);

#endif
