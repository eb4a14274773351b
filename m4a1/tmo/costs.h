/* costs.h - what an answer costs by llm and number of views that the llm sees with it:
 * seconds and USD, from the published profiles or from a table.
 *
 * Devices, networks and the analytic local cost are those of TMO's authors
 * (arXiv 2502.11007 and their tmo/devices.py); measured latencies are not used there.
 * Their local seconds divide the FLOPs of a token by L_base, which makes a local turn
 * about 600 times too fast (docs/tmo.md); kept, since this is the published simulator. */
#ifndef M4A1_TMO_COSTS_H
#define M4A1_TMO_COSTS_H

#include <stddef.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"
#include "m4a1/tmo/cost_table.h"
#include "schema/space.h"

#define COSTS_PUBLISHED_VIEWS 3 /* the published networks go no further */

struct costs_device {
    const char *name;
    double peak_gflops; /* GFLOP/s */
    double peak_watts;
};

struct costs_network {
    const char *name;
    double latency_s[COSTS_PUBLISHED_VIEWS + 1]; /* by number of uploaded views */
    double usage_usd[COSTS_PUBLISHED_VIEWS + 1];
};

#define COSTS_N_DEVICES 8
#define COSTS_N_NETWORKS 4
extern const struct costs_device costs_devices[COSTS_N_DEVICES];
extern const struct costs_network costs_networks[COSTS_N_NETWORKS];
#define COSTS_DEVICE "Jetson TX2" /* the published defaults */
#define COSTS_NETWORK "Wired"

struct costs_settings {
    const char *device, *network;   /* names; used where there is no table; not owned */
    const struct cost_table *table; /* NULL = the published profiles; the caller's */
};

/* The published defaults. */
struct costs_settings costs_published(void);

/* Each array is [M][X + 1]: llm of the space times (X + 1), plus the number of views.  A
 * kind is a cell that an action can come to: an llm with 0 .. as many views as its actions
 * can show it.  Other cells are 0. */
struct costs {
    size_t n_llms, n_views; /* M, X */
    double *latency_s, *usage_usd;
    /* min-max normalised over the kinds; 0 where all are equal */
    double *latency_share, *usage_share;
    /* what a shield sets aside: a quantile where one was measured, else the mean */
    double *latency_reserve_s, *usage_reserve_usd;
    unsigned char *is_kind, *is_filled; /* filled: not known, so linear in the views */
    int is_exact; /* no reserve differs from its cost: costs are fixed */
};

/* Costs of a space whose llms have these names [M].  With a table every kind that it does
 * not know is taken linear in the number of views (least squares, not below 0) where it
 * knows at least two cells of that llm.
 * E_ARG for a device or network that is not there (the message lists them), for more views
 * than the published networks price, for an llm or cell that a table lacks. */
MUST_CHECK enum status costs_build(const struct costs_settings *settings,
    const struct space *space, const char *const *llms, struct costs *out,
    struct error *err);
void costs_release(struct costs *costs);

/* The cell of an llm of the space that sees n views. */
static inline size_t costs_cell(const struct costs *costs, size_t llm, size_t n)
{
    return llm * (costs->n_views + 1) + n;
}

/* The cells that were filled, for people: "gpt with 2 and 3 views; ..."; "" = none. */
void costs_tell_filled(
    const struct costs *costs, const char *const *llms, struct buffer *out);

/* The device or network of that name; E_ARG lists those there are. */
MUST_CHECK enum status costs_find_device(
    const char *name, const struct costs_device **out, struct error *err);
MUST_CHECK enum status costs_find_network(
    const char *name, const struct costs_network **out, struct error *err);

#endif
