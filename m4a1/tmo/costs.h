/* costs.h - what an action costs in the published environment: seconds and USD.
 *
 * Devices, networks and the analytic local cost are those of TMO's authors
 * (arXiv 2502.11007 and their tmo/devices.py); measured latencies are not used there.
 * Their local seconds divide the FLOPs of a token by L_base, which makes a local turn
 * about 600 times too fast (docs/tmo.md); kept, since this is the published simulator. */
#ifndef M4A1_TMO_COSTS_H
#define M4A1_TMO_COSTS_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "schema/space.h"

#define COSTS_MAX_VIEWS 3                     /* the published networks go no further */
#define COSTS_MAX_KINDS (COSTS_MAX_VIEWS + 2) /* local, cloud with 0..3 views */

struct costs_device {
    const char *name;
    double peak_gflops; /* GFLOP/s */
    double peak_watts;
};

struct costs_network {
    const char *name;
    double latency_s[COSTS_MAX_VIEWS + 1]; /* by number of uploaded views */
    double usage_usd[COSTS_MAX_VIEWS + 1];
};

#define COSTS_N_DEVICES 8
#define COSTS_N_NETWORKS 4
extern const struct costs_device costs_devices[COSTS_N_DEVICES];
extern const struct costs_network costs_networks[COSTS_N_NETWORKS];
#define COSTS_DEVICE "Jetson TX2" /* the published defaults */
#define COSTS_NETWORK "Wired"

/* Kinds of action: 0 local, 1 + k the cloud with k views. */
struct costs {
    const struct costs_device *device;
    const struct costs_network *network;
    size_t n_kinds; /* X + 2 */
    double latency_s[COSTS_MAX_KINDS], usage_usd[COSTS_MAX_KINDS];
    /* the same, min-max normalised over the kinds */
    double latency_share[COSTS_MAX_KINDS], usage_share[COSTS_MAX_KINDS];
};

/* E_ARG for a name that is not there (the message lists them) and for more views than
 * the published networks price. */
MUST_CHECK enum status costs_build(const char *device, const char *network,
    size_t n_views, struct costs *out, struct error *err);

/* The kind of an action. */
size_t costs_kind(const struct space *space, size_t action);

#endif
