/* evaluate_agent.h - m4a1 evaluate STORE --agent LLM: a row of an llm that chooses. */
#ifndef M4A1_CLI_EVALUATE_AGENT_H
#define M4A1_CLI_EVALUATE_AGENT_H

#include "export/json_keep.h"
#include "m4a1/cli/cli.h"
#include "m4a1/tmo/evaluation_table.h"

#define EVALUATE_AGENT_OPTION                                                            \
    {                                                                                    \
        "agent", "LLM",                                                                  \
            "a further row: this llm of the store DATA is asked for the actions, turn "  \
            "by turn, under the caps of m4a1 collect"                                    \
    }

/* What asking took, over all trials. */
struct evaluate_agent {
    char row[128]; /* "" = no agent was asked */
    size_t n_decisions, n_calls, n_failed;
    double latency_s, usage_usd; /* a decision; NAN = unknown */
};

/* Ask --agent through a trial's test sessions and add its row; nothing without the option.
 * Statuses are those of engine_run(): E_PARTIAL where questions stay open. */
MUST_CHECK enum status evaluate_agent(struct cli *cli, struct evaluation_table *table,
    size_t trial, const struct environment *env, struct evaluate_agent *out,
    struct error *err);

/* Print it under the tables; nothing where no agent was asked. */
void evaluate_agent_tell(const struct evaluate_agent *agent);
/* Member "agent" of root. */
void evaluate_agent_keep(
    struct json_keeper *k, struct json *root, const struct evaluate_agent *agent);

#endif
