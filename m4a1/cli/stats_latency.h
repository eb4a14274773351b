/* stats_latency.h - how long answers took, of a store: by llm, by views added and in
 * context; loaded and isolated timing, warm-up and cold starts never pooled. */
#ifndef M4A1_CLI_STATS_LATENCY_H
#define M4A1_CLI_STATS_LATENCY_H

#include "m4a1/cli/cli.h"

/* True where path is a store that holds measured answers, or none at all: imported ones
 * alone have times that were reported. */
int stats_latency_applies(const char *path);

/* The topic latency of the verb stats, for the store that is its second argument; with
 * --profile a cost profile is written, too. */
MUST_CHECK enum status stats_latency(struct cli *cli, struct error *err);

#endif
