/* evaluate_live.h - m4a1 evaluate STORE POLICY... --live: policies play the held-out
 * sessions against the real llms, or the simulator, in a store of their own. */
#ifndef M4A1_CLI_EVALUATE_LIVE_H
#define M4A1_CLI_EVALUATE_LIVE_H

#include "export/dataset.h"
#include "m4a1/cli/cli.h"

/* Rows of the verb's options table: those of --live, and of all that sends calls. */
#define EVALUATE_LIVE_OPTIONS                                                            \
    { "live", NULL,                                                                      \
        "play each POLICY's test sessions against the llms, in a store of their own" },  \
        { "into", "FILE", "with --live: that store (default: DATA.live)" },              \
        { "dry-run", NULL, "with --live: say what it would take and send nothing" },     \
        { "simulator", "URL", "send calls to m4a1 simulate at URL, without keys" },      \
        { "max-usd", "X",                                                                \
            "stop before the store that calls are kept in may cost more (default: the "  \
            "recipe's plan.max_usd)" },                                                  \
        { "max-attempts", "N", "attempts a call (default: each llm's own)" },            \
        { "in-flight", "N", "calls in flight over all llms (default: 16)" },             \
        { "until", "TIME", "send nothing that would not be done by TIME" },              \
        { "for", "TIME", "the same, counted from now: 8h, 90m, 1h30m, 45s" },            \
        { "grace", "S", "wait S seconds for calls in flight when stopped (60)" },        \
        { "retry-failed", NULL, "ask calls again that failed for good" },                \
    {                                                                                    \
        "allow-unpriced", NULL, "also ask llms without a price; they count nothing"      \
    }

/* A usage error where options are given that do nothing with --live, or without it. */
MUST_CHECK enum status evaluate_live_usage(struct cli *cli, struct error *err);

/* Play, or go on playing, and print what came of it.  Statuses are those of engine_run():
 * E_PARTIAL where some session is not played to its end. */
MUST_CHECK enum status evaluate_live(
    struct cli *cli, const struct dataset *data, struct error *err);

#endif
