/* simulate.h - the simulated LLM server: every protocol of the collectors, over real HTTP.
 *
 * Answers depend on the seed and the request alone, faults on how often it was seen,
 * too; docs/simulator.md tells the rules.  Nothing is ever fetched or written. */
#ifndef M4A1_SIMULATE_SIMULATE_H
#define M4A1_SIMULATE_SIMULATE_H

#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"
#include "schema/recipe.h"

#define SIMULATE_MAX_BODY (64u << 20) /* bytes of a request; above is 413 */

struct simulate_options {
    const struct recipe *recipe; /* its models are served; outlives the simulator */
    const char *host;            /* address; NULL = 127.0.0.1 */
    uint16_t port;               /* 0 = a free one */
    uint64_t seed;
    double time_scale;        /* all latencies times this, at least 0 */
    double fault_probability; /* [0, 1] */
    unsigned fault_kinds; /* a set of sim_fault_kinds(); 0 = those that retries cure */
};

struct simulator;

MUST_CHECK enum status simulate_start(
    const struct simulate_options *options, struct simulator **out, struct error *err);
const char *simulate_url(const struct simulator *simulator); /* "http://127.0.0.1:8080" */
uint16_t simulate_port(const struct simulator *simulator);

/* What GET /simulator/stats answers; the caller frees it. */
MUST_CHECK enum status simulate_stats(
    struct simulator *simulator, struct json **out, struct error *err);

/* Close what is under way and end the threads.  NULL is fine. */
void simulate_stop(struct simulator *simulator);

#endif
