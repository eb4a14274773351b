/* server_facts.h - what a server tells of itself beside an answer: service tier, how long
 * it loaded the model, how long it worked.
 *
 * Read from the bytes as they came, whatever the protocol: the names are those of OpenAI
 * and Anthropic (service_tier), Ollama (load_duration, total_duration), llama.cpp
 * (timings), Groq (usage.total_time), Bedrock (metrics.latencyMs), and of the header
 * openai-processing-ms.  Pure. */
#ifndef COLLECTORS_SERVER_FACTS_H
#define COLLECTORS_SERVER_FACTS_H

#include <stddef.h>
#include <stdint.h>

struct server_facts {
    char service_tier[33]; /* the server's own word; "" = not said */
    int64_t load_ns;       /* -1 = not said */
    int64_t server_ns;     /* its own measure of the whole answer; -1 = not said */
};

/* headers are lines "Name: value\r\n"; body holds len bytes and a NUL behind them. */
void server_facts_read(
    const char *headers, const char *body, size_t len, struct server_facts *out);

#endif
