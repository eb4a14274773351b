/* evaluate_json.c - everything that m4a1 evaluate found, as one JSON object. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "export/json_keep.h"
#include "m4a1/cli/evaluate_tell.h"

static void keep_interval(struct json_keeper *k, struct json *o, const struct interval *x)
{
    json_keep_figure(k, o, "value", x->value);
    json_keep_figure(k, o, "low", x->low);
    json_keep_figure(k, o, "high", x->high);
}

static void keep_measure(struct json_keeper *k, struct json *object,
    const struct evaluate_report *r, const struct evaluation_row *row, enum measure m)
{
    struct json *o = json_keep(k, json_set_object(object, measure_names[m]));
    const struct comparison *c = &row->against[m];
    keep_interval(k, o, &row->values[m]);
    if (isnan(c->difference.value))
        return;
    struct json *less = json_keep(k, json_set_object(o, "less_reference"));
    json_keep(k, json_set_text(less, "reference", r->reference));
    keep_interval(k, less, &c->difference);
    json_keep_figure(k, less, "p", c->p);
    json_keep_figure(k, less, "p_holm", c->adjusted);
}

static void keep_figures(
    struct json_keeper *k, struct json *o, const struct evaluation *all, size_t n)
{
    for (enum evaluation_figure f = 0; f < N_FIGURES; f++) {
        double mean, deviation;
        evaluation_summary(all, n, f, &mean, &deviation);
        struct json *figure =
            json_keep(k, json_set_object(o, evaluation_figure_names[f]));
        json_keep_figure(k, figure, "mean", mean);
        json_keep_figure(k, figure, "deviation", deviation);
        struct json *each = json_keep(k, json_set_array(figure, "by_seed"));
        for (size_t i = 0; i < n; i++) {
            double x = evaluation_figure(&all[i], f);
            json_keep(k, isnan(x) ? json_add_null(each) : json_add_number(each, x));
        }
    }
}

static void keep_constraints(struct json_keeper *k, struct json *o,
    const struct evaluate_report *r, const struct evaluation *all, size_t n)
{
    const struct environment_settings *set = &r->config.environment;
    struct json *list = json_keep(k, json_set_array(o, "constraints"));
    for (size_t c = 0; c < set->n_constraints; c++) {
        struct json *one = json_keep(k, json_add_object(list));
        char name[64];
        evaluate_name_constraint(&set->constraints[c], name, sizeof name);
        json_keep(k, json_set_text(one, "constraint", name));
        struct json *rates = json_keep(k, json_set_array(one, "violation_rate"));
        struct json *excess = json_keep(k, json_set_array(one, "mean_excess"));
        struct json *risk = json_keep(k, json_set_array(one, "violation_probability"));
        for (size_t i = 0; i < n; i++) {
            const struct evaluation_constraint *x = &all[i].constraints[c];
            json_keep(k, json_add_number(rates, x->rate));
            json_keep(k, isnan(x->mean_excess) ? json_add_null(excess)
                                               : json_add_number(excess, x->mean_excess));
            json_keep(k, isnan(x->probability) ? json_add_null(risk)
                                               : json_add_number(risk, x->probability));
        }
    }
}

static enum status keep_row(struct json_keeper *k, struct json *rows,
    const struct evaluate_report *r, const struct evaluation_row *row, struct error *err)
{
    struct evaluation *all;
    uint64_t *seeds;
    size_t n;
    enum status s = evaluate_returns(r, row, &all, &seeds, &n, err);
    if (s)
        return s;
    struct json *o = json_keep(k, json_add_object(rows));
    json_keep(k, json_set_text(o, "policy", row->name));
    struct json *list = json_keep(k, json_set_array(o, "seeds"));
    struct json *sessions = json_keep(k, json_set_array(o, "test_sessions"));
    for (size_t i = 0; i < n; i++) {
        json_keep(k, json_add_int(list, (int64_t)seeds[i]));
        json_keep(k, json_add_int(sessions, (int64_t)all[i].n_sessions));
    }
    if (n) {
        keep_figures(k, o, all, n);
        keep_constraints(k, o, r, all, n);
    }
    struct json *measures = json_keep(k, json_set_object(o, "measures"));
    for (enum measure m = 0; m < N_MEASURES; m++)
        keep_measure(k, measures, r, row, m);
    json_keep_count(k, o, "off_policy_turns", row->value.n_turns);
    json_keep_count(k, o, "direct_turns", row->value.n_direct);
    json_keep_figure(k, o, "effective_turns", row->value.effective_turns);
    json_keep_figure(k, o, "effective_sessions", row->value.effective_sessions);
    json_keep_figure(k, o, "mean_ratio", row->value.mean_ratio);
    json_keep_figure(k, o, "share_of_bound", row->shares[0]);
    json_keep_figure(k, o, "share_of_bound_within_budgets", row->shares[1]);
    free(all);
    free(seeds);
    return OK;
}

static void keep_trials(
    struct json_keeper *k, struct json *root, const struct evaluate_report *r)
{
    struct json *list = json_keep(k, json_set_array(root, "splits"));
    for (size_t i = 0; i < r->table.n_trials; i++) {
        const struct trial *trial = &r->table.trials[i];
        struct json *o = json_keep(k, json_add_object(list));
        json_keep(k, json_set_bool(o, "all_sessions", i == r->all_trial));
        json_keep(k, json_set_int(o, "seed", (int64_t)trial->seed));
        json_keep_count(k, o, "train_sessions", trial->n_train);
        json_keep_count(k, o, "test_sessions", trial->n_test);
        struct json *overlap = json_keep(k, json_set_object(o, "overlap"));
        for (enum overlap_kind kind = 0; kind < N_OVERLAPS; kind++) {
            const struct overlap_count *one = &trial->overlap.of[kind];
            struct json *count =
                json_keep(k, json_set_object(overlap, overlap_names[kind]));
            json_keep_count(k, count, "different", one->n);
            json_keep_count(k, count, "shared", one->n_shared);
            json_keep_count(k, count, "carriers", one->n_carriers);
            json_keep_count(k, count, "carriers_shared", one->n_carriers_shared);
        }
    }
}

static void keep_openings(
    struct json_keeper *k, struct json *root, const struct evaluate_report *r)
{
    struct json *list = json_keep(k, json_set_array(root, "openings"));
    for (size_t i = 0; i < r->n_openings; i++) {
        const struct opening *one = &r->openings[i];
        struct json *o = json_keep(k, json_add_object(list));
        json_keep(k, json_set_text(o, "split", one->split));
        json_keep(k, json_set_text(o, "test_sha256", one->sha256));
        json_keep(k, json_set_int(o, "before", one->n_before));
        json_keep(k, json_set_bool(o, "entered", one->is_counted));
    }
    if (*r->why_not)
        json_keep(k, json_set_text(root, "not_entered", r->why_not));
}

static enum status keep_diagnoses(struct json_keeper *k, struct json *root,
    const struct evaluate_report *r, struct error *err)
{
    struct json *list = json_keep(k, json_set_array(root, "diagnoses"));
    enum status s = OK;
    for (size_t i = 0; i < r->n_diagnoses && !s; i++) {
        struct json *o = json_keep(k, json_add_object(list));
        json_keep(k, json_set_text(o, "policy", r->diagnoses[i].row));
        s = diagnosis_write(&r->diagnoses[i].found, o, err);
    }
    return s;
}

enum status evaluate_json(const struct evaluate_report *r, struct error *err)
{
    static const char *const units[N_FOLDS_BY] = { "sessions", "prompts", "scenes" };
    struct json_keeper k = { 1 };
    struct json *root = json_keep(&k, json_new_object());
    int as_published = r->config.environment.as_published;
    json_keep(&k, json_set_text(root, "data", r->data->source));
    json_keep(&k, json_set_text(root, "digest", r->data->digest));
    json_keep(&k, json_set_bool(root, "simulated", r->data->simulated));
    json_keep(&k,
        json_set_text(root, "environment", as_published ? "as-published" : "corrected"));
    json_keep(&k, json_set_text(root, "meaning", evaluate_meaning));
    enum status s = tmo_config_write(
        &r->config, 0, json_keep(&k, json_set_object(root, "config")), err);
    json_keep(&k, json_set_text(root, "reference", r->reference));
    json_keep(&k, json_set_text(root, "clusters", units[r->table.settings.by]));
    json_keep_count(&k, root, "resamples", r->table.settings.bootstrap.n_resamples);
    json_keep_figure(&k, root, "level", r->table.settings.bootstrap.level);
    json_keep(&k, json_set_bool(root, "observed_costs",
                      r->table.settings.off_policy.observed_costs));
    json_keep_count(&k, root, "probabilities_stored", r->n_stored);
    json_keep_count(&k, root, "probabilities_by_rule", r->n_by_rule);
    struct json *rows = json_keep(&k, json_set_array(root, "policies"));
    for (size_t i = 0; i < r->table.n_rows && !s; i++)
        s = keep_row(&k, rows, r, &r->table.rows[i], err);
    keep_trials(&k, root, r);
    keep_openings(&k, root, r);
    evaluate_agent_keep(&k, root, &r->agent);
    if (*r->unproved)
        json_keep(&k, json_set_text(root, "unproved", r->unproved));
    if (!s)
        s = keep_diagnoses(&k, root, r, err);
    if (!s)
        s = k.ok ? cli_print_json(root, err) : error_nomem(err, 64);
    json_free(root);
    return s;
}
