/* collecting.h - what the verbs that send calls share: options, caps and the summary of
 * a run of the engine. */
#ifndef M4A1_CLI_COLLECTING_H
#define M4A1_CLI_COLLECTING_H

#include "collectors/engine.h"
#include "m4a1/cli/cli.h"

/* Rows of a verb's options table. */
#define COLLECTING_OPTIONS                                                               \
    { "max-usd", "X",                                                                    \
        "stop before the store as a whole may cost more (default: plan.max_usd)" },      \
        { "simulator", "URL", "send every call to m4a1 simulate at URL, without keys" }, \
        { "max-attempts", "N", "attempts a call (default: each llm's own)" },            \
        { "in-flight", "N", "calls in flight over all llms (default: 16)" },             \
        { "until", "TIME",                                                               \
            "send nothing that would not be done by TIME: 07:30 or 2026-11-23T07:30Z" }, \
        { "for", "TIME", "the same, counted from now: 8h, 90m, 1h30m, 45s" },            \
        { "grace", "S",                                                                  \
            "after Ctrl-C, SIGTERM or the deadline, wait S seconds for calls in flight " \
            "(default: 60)" },                                                           \
        { "llm", "NAMES",                                                                \
            "only calls of these llms, separated by commas (default: all)" },            \
        { "retry-failed", NULL, "ask calls again that failed for good" },                \
        { "allow-unpriced", NULL, "also ask llms without a price; they count nothing" }, \
    {                                                                                    \
        "seed", "N", "of the order of calls (default: 1)"                                \
    }

/* The engine's options as given; the recipe's cap where the user gave none. */
MUST_CHECK enum status collecting_options(
    struct cli *cli, struct store *store, struct engine_options *o, struct error *err);

/* Members that sum up a run, put into object j; E_NOMEM. */
MUST_CHECK enum status collecting_json(
    struct json *j, const struct engine_result *r, struct error *err);

/* The same for people: a table by llm, the money, and what to do next. */
void collecting_print(const struct engine_result *r, const struct engine_options *o,
    const char *verb, const char *store_path);

#endif
