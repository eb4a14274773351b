/* stats_drift.c - old answers beside those to the same calls asked again. */
#include <stdio.h>

#include "export/drift.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/rows.h"
#include "m4a1/cli/stats_plan.h"
#include "schema/query.h"

static void set_names(struct json_keeper *k, struct json *row, const char *key,
    const struct drift_name *names, size_t n)
{
    struct json *list = json_keep(k, json_set_array(row, key));
    for (size_t i = 0; i < n; i++) {
        struct json *name = json_keep(k, json_add_object(list));
        json_keep(k, json_set_text(name, "first", names[i].first));
        json_keep(k, json_set_text(name, "again", names[i].again));
        json_keep_count(k, name, "n", names[i].n);
        json_keep(k,
            json_set_bool(name, "changed", !text_equal(names[i].first, names[i].again)));
    }
}

static void set_llm(struct json_keeper *k, struct json *row, const struct drift_llm *l)
{
    json_keep(k, json_set_text(row, "llm", l->name));
    json_keep_count(k, row, "pairs", l->n_pairs);
    json_keep_count(k, row, "open", l->n_open);
    json_keep_count(k, row, "failed", l->n_failed);
    json_keep_count(k, row, "left_out_half_simulated", l->n_mixed);
    json_keep(k, json_set_bool(row, "simulated", l->simulated));
    json_keep(k, json_set_int(row, "first_ms", l->first_ms));
    json_keep(k, json_set_int(row, "again_ms", l->again_ms));
    struct json *list = json_keep(k, json_set_array(row, "changes"));
    for (int f = 0; f < N_DRIFT_FIGURES; f++) {
        const struct drift_change *c = &l->changes[f];
        struct json *change = json_keep(k, json_add_object(list));
        json_keep(k, json_set_text(change, "figure", drift_figure_names[f]));
        json_keep_count(k, change, "pairs", c->n);
        json_keep_figure(k, change, "first", c->first);
        json_keep_figure(k, change, "again", c->again);
        json_keep_figure(k, change, "difference", c->difference);
        json_keep_figure(k, change, "low", c->low);
        json_keep_figure(k, change, "high", c->high);
        json_keep_figure(k, change, "p", c->p);
        json_keep(k, json_set_bool(change, "changed", c->verdict == DRIFT_CHANGED));
        json_keep(k, json_set_text(change, "verdict", drift_verdict_names[c->verdict]));
    }
    set_names(k, row, "models", l->models, l->n_models);
    set_names(k, row, "fingerprints", l->fingerprints, l->n_fingerprints);
}

enum status stats_add_drift(
    const char *data, struct json_keeper *k, struct json *root, struct error *err)
{
    struct store *store;
    struct drift drift = { 0 };
    if (file_exists(data) && !store_is_database(data))
        return error_set(err, E_ARG,
            "%s is no store: drift is between calls asked again, which only a store "
            "keeps",
            data);
    enum status s = store_open(data, STORE_READ, &store, err);
    if (s)
        return s;
    if (!(s = store_run(store, err, "BEGIN", ""))) { // one snapshot
        s = drift_load(store, &drift, err);
        store_rollback(store);
    }
    struct json *list = json_keep(k, json_set_array(root, "llms"));
    for (size_t i = 0; i < drift.n && !s; i++)
        set_llm(k, json_keep(k, json_add_object(list)), &drift.llms[i]);
    drift_release(&drift);
    store_close(store);
    return s;
}

/* ---- for people ---- */

static void print_names(const struct json *list, const char *what)
{
    for (const struct json *n = json_first(list); n; n = json_next(n)) {
        const char *first = json_text(json_get(n, "first"), "");
        const char *again = json_text(json_get(n, "again"), "");
        if (!*first && !*again)
            continue;
        printf("  %s: %s -> %s (%lld)%s\n", what, *first ? first : "not said",
            *again ? again : "not said", (long long)json_int(json_get(n, "n"), 0),
            json_bool(json_get(n, "changed"), 0) ? "  CHANGED" : "");
    }
}

static long long number(const struct json *j, const char *key)
{
    return (long long)json_int(json_get(j, key), 0);
}

/* Rows without a pair say nothing, nor do those of caches that no answer used. */
static int is_shown(const struct json *change)
{
    const char *figure = json_text(json_get(change, "figure"), "");
    if (!number(change, "pairs"))
        return 0;
    return !text_starts(figure, "cache_") ||
           json_number(json_get(change, "first"), 0) > 0 ||
           json_number(json_get(change, "again"), 0) > 0;
}

static void print_changes(const struct json *l)
{
    static const struct rows_head heads[] = { { "figure", "figure", 't' },
        { "pairs", "pairs", 'i' }, { "first", "first", 'g' }, { "again", "again", 'g' },
        { "difference", "difference", 'd' }, { "from", "low", 'd' },
        { "to", "high", 'd' }, { "verdict", "verdict", 't' } };
    char title[240], apart[32], cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "" };
    double ms =
        json_number(json_get(l, "again_ms"), 0) - json_number(json_get(l, "first_ms"), 0);
    snprintf(title, sizeof title,
        "%.100s: %lld pair%s%s, %s apart; %lld open, %lld failed",
        json_text(json_get(l, "llm"), ""), number(l, "pairs"), text_s(number(l, "pairs")),
        json_bool(json_get(l, "simulated"), 0) ? " (simulated)" : "",
        text_duration(ms / 1000, apart, sizeof apart), number(l, "open"),
        number(l, "failed"));
    printf("\n%s\n", title);
    struct table *t = table_new(COUNT_OF(heads));
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        snprintf(cells[i], sizeof cells[i], "%s", heads[i].title);
    rows_add(t, cells);
    for (const struct json *c = json_first(json_get(l, "changes")); c; c = json_next(c)) {
        for (size_t i = 0; i < COUNT_OF(heads) && is_shown(c); i++)
            rows_format(
                json_get(c, heads[i].key), heads[i].type, cells[i], sizeof cells[i]);
        if (is_shown(c))
            rows_add(t, cells);
    }
    table_print(t);
    table_free(t);
    print_names(json_get(l, "models"), "model");
    print_names(json_get(l, "fingerprints"), "fingerprint");
}

void stats_print_drift(const struct json *root)
{
    const struct json *list = json_get(root, "llms");
    const char *data = json_text(json_get(root, "data"), "");
    long long pairs = 0, open = 0, failed = 0, mixed = 0;
    for (const struct json *l = json_first(list); l; l = json_next(l)) {
        pairs += number(l, "pairs");
        open += number(l, "open");
        failed += number(l, "failed");
        mixed += number(l, "left_out_half_simulated");
    }
    if (!json_size(list)) {
        printf("%s has no anchors, which are old calls asked again: m4a1 plan --add-llm "
               "NAME plans them beside a new llm.\n",
            data);
        return;
    }
    if (!pairs) {
        printf("%s has no pair to compare: of its anchors (old calls asked again) %lld "
               "%s still to be asked%s, %lld failed, %lld would pair a simulated answer "
               "with a real one.\n",
            data, open, open == 1 ? "is" : "are", open ? " (m4a1 collect)" : "", failed,
            mixed);
        return;
    }
    printf("%s: anchors, old calls asked again\n", data);
    for (const struct json *l = json_first(list); l; l = json_next(l)) {
        if (number(l, "pairs"))
            print_changes(l);
        else
            printf("\n%s: no pair yet; %lld open, %lld failed\n",
                json_text(json_get(l, "llm"), ""), number(l, "open"),
                number(l, "failed"));
    }
    printf(
        "\nfrom, to: 95 %% interval of the mean difference (paired t)\n"
        "verdict: changed where chance explains it badly: of llms that did not change, "
        "5 %% at\nmost get the word in any figure (Holm's correction over an llm's "
        "figures); below %d pairs\nthere is none\n",
        DRIFT_MIN_PAIRS);
}
