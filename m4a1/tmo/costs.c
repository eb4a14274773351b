/* costs.c - the published profiles and the analytic cost of a local answer. */
#include "m4a1/tmo/costs.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
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

struct costs_settings costs_published(void)
{
    return (struct costs_settings) { COSTS_DEVICE, COSTS_NETWORK, NULL };
}

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

enum status costs_find_device(
    const char *name, const struct costs_device **out, struct error *err)
{
    const char *names[COSTS_N_DEVICES];
    *out = NULL;
    for (size_t i = 0; i < COSTS_N_DEVICES; i++) {
        names[i] = costs_devices[i].name;
        if (strcmp(names[i], name) == 0)
            *out = &costs_devices[i];
    }
    return *out ? OK : unknown("device", name, names, COSTS_N_DEVICES, err);
}

enum status costs_find_network(
    const char *name, const struct costs_network **out, struct error *err)
{
    const char *names[COSTS_N_NETWORKS];
    *out = NULL;
    for (size_t i = 0; i < COSTS_N_NETWORKS; i++) {
        names[i] = costs_networks[i].name;
        if (strcmp(names[i], name) == 0)
            *out = &costs_networks[i];
    }
    return *out ? OK : unknown("network", name, names, COSTS_N_NETWORKS, err);
}

/* ---- filling the cells ---- */

static enum status fill_published(const struct costs_settings *set,
    const struct space *space, struct costs *out, struct error *err)
{
    const struct costs_device *device;
    const struct costs_network *network;
    enum status s = costs_find_device(set->device, &device, err);
    if (!s)
        s = costs_find_network(set->network, &network, err);
    if (s)
        return s;
    double flops = 2 * PARAMETERS / L_BASE * L_TOTAL;
    double seconds = flops / (device->peak_gflops * 1e9);
    double usd_per_joule = CENTS_PER_KWH / 100 / JOULES_PER_KWH;
    for (size_t llm = 0; llm < out->n_llms; llm++)
        for (size_t n = 0; n <= out->n_views; n++) {
            size_t cell = costs_cell(out, llm, n);
            if (!out->is_kind[cell])
                continue;
            if (space->cloud[llm] && n > COSTS_PUBLISHED_VIEWS)
                return error_set(err, E_ARG,
                    "the published networks price uploads of up to %d views, and an "
                    "action can come to %zu; give costs of your own (--costs FILE)",
                    COSTS_PUBLISHED_VIEWS, n);
            out->latency_s[cell] = space->cloud[llm] ? network->latency_s[n] : seconds;
            out->usage_usd[cell] = space->cloud[llm]
                                       ? network->usage_usd[n]
                                       : device->peak_watts * seconds * usd_per_joule;
        }
    return OK;
}

/* The least-squares line through the known cells of known[], at each number of views;
 * needs two of them.  Returns 0 where there are fewer. */
static int fit_line(const double *known, double *at)
{
    double n = 0, mean_x = 0, mean_y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < COST_CELLS; i++)
        if (!isnan(known[i])) {
            n++;
            mean_x += (double)i;
            mean_y += known[i];
        }
    if (n < 2)
        return 0;
    mean_x /= n;
    mean_y /= n;
    for (size_t i = 0; i < COST_CELLS; i++)
        if (!isnan(known[i])) {
            xx += ((double)i - mean_x) * ((double)i - mean_x);
            xy += ((double)i - mean_x) * (known[i] - mean_y);
        }
    for (size_t i = 0; i < COST_CELLS; i++) {
        double y = mean_y + xy / xx * ((double)i - mean_x);
        at[i] = y > 0 ? y : 0;
    }
    return 1;
}

/* The kinds of one llm from what is known of it. */
static enum status fill_figure(struct costs *out, size_t llm, const struct cost_row *row,
    const double *known, const char *what, double *figure, struct error *err)
{
    double line[COST_CELLS];
    int has_line = fit_line(known, line);
    for (size_t n = 0; n <= out->n_views; n++) {
        size_t cell = costs_cell(out, llm, n);
        if (!out->is_kind[cell])
            continue;
        if (isnan(known[n]) && !has_line)
            return error_set(err, E_ARG,
                "the costs have no %s of \"%s\" with %zu view%s, and too few other "
                "numbers of views to go by; measure them (m4a1 stats latency STORE "
                "--profile FILE) or give them in a table",
                what, row->llm, n, text_s((int64_t)n));
        if (isnan(known[n]))
            out->is_filled[cell] = 1;
        figure[cell] = isnan(known[n]) ? line[n] : known[n];
    }
    return OK;
}

/* Reserves: those that are known; else as much above the cost, as a share, as the greatest
 * one that is known.  Never below the cost. */
static void fill_reserve(struct costs *out, size_t llm, const double *known,
    const double *means, const double *figure, double *reserve)
{
    double most = 1;
    for (size_t i = 0; i < COST_CELLS; i++)
        if (!isnan(known[i]) && means[i] > 0 && known[i] / means[i] > most)
            most = known[i] / means[i];
    for (size_t n = 0; n <= out->n_views; n++) {
        size_t cell = costs_cell(out, llm, n);
        if (!out->is_kind[cell])
            continue;
        reserve[cell] = isnan(known[n]) ? most * figure[cell] : known[n];
        if (reserve[cell] > figure[cell])
            out->is_exact = 0;
        else
            reserve[cell] = figure[cell];
    }
}

static enum status fill_from_table(const struct cost_table *table,
    const char *const *llms, struct costs *out, struct error *err)
{
    enum status s = OK;
    for (size_t llm = 0; llm < out->n_llms && !s; llm++) {
        const struct cost_row *row = cost_table_find(table, llms[llm]);
        if (!row)
            return error_set(err, E_ARG,
                "the costs have nothing of llm \"%s\"; measure it (m4a1 stats latency "
                "STORE --profile FILE) or add it to the table",
                llms[llm]);
        s = fill_figure(out, llm, row, row->latency_s, "seconds", out->latency_s, err);
        if (!s)
            s = fill_figure(out, llm, row, row->usage_usd, "USD", out->usage_usd, err);
        if (s)
            break;
        fill_reserve(out, llm, row->latency_reserve_s, row->latency_s, out->latency_s,
            out->latency_reserve_s);
        fill_reserve(out, llm, row->usage_reserve_usd, row->usage_usd, out->usage_usd,
            out->usage_reserve_usd);
    }
    return s;
}

static void normalise(const struct costs *costs, const double *x, double *share)
{
    double least = INFINITY, most = -INFINITY;
    size_t n = costs->n_llms * (costs->n_views + 1);
    for (size_t i = 0; i < n; i++) {
        if (!costs->is_kind[i])
            continue;
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    for (size_t i = 0; i < n; i++)
        if (costs->is_kind[i])
            share[i] = most > least ? (x[i] - least) / (most - least) : 0;
}

enum status costs_build(const struct costs_settings *settings, const struct space *space,
    const char *const *llms, struct costs *out, struct error *err)
{
    size_t n = space->n_llms * (space->n_views + 1);
    memset(out, 0, sizeof *out);
    out->n_llms = space->n_llms;
    out->n_views = space->n_views;
    out->is_exact = 1;
    double *figures = calloc(6 * n, sizeof *figures);
    unsigned char *flags = calloc(2 * n, 1);
    out->latency_s = figures;
    out->is_kind = flags;
    if (!figures || !flags) {
        costs_release(out);
        return error_nomem(err, 6 * n * sizeof *figures);
    }
    out->usage_usd = figures + n;
    out->latency_share = figures + 2 * n;
    out->usage_share = figures + 3 * n;
    out->latency_reserve_s = figures + 4 * n;
    out->usage_reserve_usd = figures + 5 * n;
    out->is_filled = flags + n;
    for (size_t llm = 0; llm < space->n_llms; llm++)
        for (size_t k = 0; k <= space_count(space->accepts[llm]); k++)
            out->is_kind[costs_cell(out, llm, k)] = 1;

    enum status s = settings->table ? fill_from_table(settings->table, llms, out, err)
                                    : fill_published(settings, space, out, err);
    if (s) {
        costs_release(out);
        return s;
    }
    if (!settings->table) {
        memcpy(out->latency_reserve_s, out->latency_s, n * sizeof *figures);
        memcpy(out->usage_reserve_usd, out->usage_usd, n * sizeof *figures);
    }
    normalise(out, out->latency_s, out->latency_share);
    normalise(out, out->usage_usd, out->usage_share);
    return OK;
}

void costs_release(struct costs *costs)
{
    free(costs->latency_s); // and the five arrays behind it
    free(costs->is_kind);   // and is_filled
    memset(costs, 0, sizeof *costs);
}

void costs_tell_filled(
    const struct costs *costs, const char *const *llms, struct buffer *out)
{
    size_t n_told = 0;
    for (size_t llm = 0; llm < costs->n_llms; llm++) {
        size_t n = 0, last = SIZE_MAX;
        for (size_t k = 0; k <= costs->n_views; k++) {
            if (!costs->is_filled[costs_cell(costs, llm, k)])
                continue;
            if (n)
                buffer_printf(out, ", %zu", k);
            else
                buffer_printf(out, "%s%s with %zu", n_told ? "; " : "", llms[llm], k);
            n++;
            n_told++;
            last = k;
        }
        if (n)
            buffer_printf(out, " view%s", n == 1 && last == 1 ? "" : "s");
    }
}
