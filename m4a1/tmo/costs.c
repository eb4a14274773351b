/* costs.c - the published profiles and the analytic cost of a local answer. */
#include "m4a1/tmo/costs.h"

#include <string.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"

/* The local model and the price of energy, as the authors set them. */
#define PARAMETERS 3.8e9
#define L_BASE 1024.0
#define L_TOTAL 2048.0
#define CENTS_PER_KWH 16.68
#define JOULES_PER_KWH 3.6e6

const struct costs_device costs_devices[COSTS_N_DEVICES] = {
    { "Raspberry Pi-4B", 13.5, 8 },
    { "Raspberry Pi-5", 31.4, 12 },
    { "Jetson Nano", 472, 10 },
    { "Jetson TX2", 1330, 15 },
    { "Jetson Xavier NX", 21000, 20 },
    { "Jetson Orin NX", 100000, 25 },
    { "Jetson AGX Orin", 275000, 60 },
    { "iPhone 15 Pro", 35000, 15 },
};

#define PUBLISHED_USD                                                                    \
    {                                                                                    \
        0.00049, 0.00500, 0.00945, 0.01368                                               \
    }

const struct costs_network costs_networks[COSTS_N_NETWORKS] = {
    { "Wired", { 6.46030, 4.76134, 6.24569, 6.98211 }, PUBLISHED_USD },
    { "WiFi", { 0.5, 1.898, 2.016, 2.238 }, PUBLISHED_USD },
    { "5G", { 0.5, 6.037, 6.412, 7.118 }, PUBLISHED_USD },
    { "4G", { 0.5, 16.603, 17.636, 19.573 }, PUBLISHED_USD },
};

static enum status unknown(const char *what, const char *name, const char *const *names,
    size_t n, struct error *err)
{
    struct buffer list;
    buffer_init(&list, 512);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&list, "%s%s", i ? ", " : "", names[i]);
    const char *near = text_nearest(name, names, n);
    enum status s = error_set(err, E_ARG, "no %s \"%s\"%s%s%s; there are: %s", what, name,
        near ? ", did you mean \"" : "", near ? near : "", near ? "\"" : "",
        buffer_str(&list));
    buffer_release(&list);
    return s;
}

static const struct costs_device *find_device(const char *name, struct error *err)
{
    const char *names[COSTS_N_DEVICES];
    for (size_t i = 0; i < COSTS_N_DEVICES; i++) {
        names[i] = costs_devices[i].name;
        if (strcmp(names[i], name) == 0)
            return &costs_devices[i];
    }
    unknown("device", name, names, COSTS_N_DEVICES, err);
    return NULL;
}

static const struct costs_network *find_network(const char *name, struct error *err)
{
    const char *names[COSTS_N_NETWORKS];
    for (size_t i = 0; i < COSTS_N_NETWORKS; i++) {
        names[i] = costs_networks[i].name;
        if (strcmp(names[i], name) == 0)
            return &costs_networks[i];
    }
    unknown("network", name, names, COSTS_N_NETWORKS, err);
    return NULL;
}

static void normalise(const double *x, size_t n, double *out)
{
    double min = x[0], max = x[0];
    for (size_t i = 1; i < n; i++) {
        if (x[i] < min)
            min = x[i];
        if (x[i] > max)
            max = x[i];
    }
    for (size_t i = 0; i < n; i++)
        out[i] = max > min ? (x[i] - min) / (max - min) : 0;
}

enum status costs_build(const char *device, const char *network, size_t n_views,
    struct costs *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    if (n_views > COSTS_MAX_VIEWS)
        return error_set(err, E_ARG,
            "the published networks price uploads of up to %d views, and the data has "
            "%zu; the published environment cannot be trained on it",
            COSTS_MAX_VIEWS, n_views);
    out->device = find_device(device, err);
    if (!out->device)
        return E_ARG;
    out->network = find_network(network, err);
    if (!out->network)
        return E_ARG;

    double flops = 2 * PARAMETERS / L_BASE * L_TOTAL;
    double seconds = flops / (out->device->peak_gflops * 1e9);
    double usd_per_joule = CENTS_PER_KWH / 100 / JOULES_PER_KWH;
    out->n_kinds = n_views + 2;
    out->latency_s[0] = seconds;
    out->usage_usd[0] = out->device->peak_watts * seconds * usd_per_joule;
    for (size_t k = 0; k <= n_views; k++) {
        out->latency_s[1 + k] = out->network->latency_s[k];
        out->usage_usd[1 + k] = out->network->usage_usd[k];
    }
    normalise(out->latency_s, out->n_kinds, out->latency_share);
    normalise(out->usage_usd, out->n_kinds, out->usage_share);
    return OK;
}

size_t costs_kind(const struct space *space, size_t action)
{
    return space_is_cloud(action) ? 1 + space_n_uploaded(space, action) : 0;
}
