/* evaluate_tell.c - the tables of m4a1 evaluate, and what each can be trusted with. */
#include "m4a1/cli/evaluate_tell.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/diagnosis_tell.h"
#include "m4a1/cli/rows.h"

const char evaluate_meaning[] =
    "return inside the simulator, whose estimator is fitted on the training sessions and "
    "serves the evaluation too; it does not predict scores of held-out answers "
    "(docs/tmo-evaluation.md)";

enum status evaluate_returns(const struct evaluate_report *r,
    const struct evaluation_row *row, struct evaluation **all, uint64_t **seeds,
    size_t *n, struct error *err)
{
    *n = 0;
    *all = calloc(row->n + 1, sizeof **all);
    uint64_t *list = calloc(row->n + 1, sizeof *list);
    if (!*all || !list) {
        free(*all);
        free(list);
        *all = NULL;
        return error_nomem(err, row->n * sizeof **all);
    }
    for (size_t i = 0; i < row->n; i++)
        if (row->entries[i].has_return && *n < EVALUATION_MAX_SEEDS) {
            list[*n] = r->table.trials[row->entries[i].trial].seed;
            (*all)[(*n)++] = row->entries[i].evaluation;
        }
    if (seeds)
        *seeds = list;
    else
        free(list);
    return OK;
}

/* ---- cells ---- */

static void value_cell(const struct interval *x, char *out)
{
    if (isnan(x->value))
        snprintf(out, ROWS_CELL, "-");
    else if (isnan(x->low))
        snprintf(out, ROWS_CELL, "%.3f", x->value);
    else
        snprintf(out, ROWS_CELL, "%.3f [%.3f, %.3f]", x->value, x->low, x->high);
}

static void difference_cell(const struct comparison *x, char *out)
{
    if (isnan(x->difference.value))
        snprintf(out, ROWS_CELL, "-");
    else if (isnan(x->difference.low))
        snprintf(out, ROWS_CELL, "%+.3f", x->difference.value);
    else
        snprintf(out, ROWS_CELL, "%+.3f [%+.3f, %+.3f]", x->difference.value,
            x->difference.low, x->difference.high);
}

static void p_cell(double p, char *out)
{
    if (isnan(p))
        snprintf(out, ROWS_CELL, "-");
    else
        snprintf(out, ROWS_CELL, p < 0.001 ? "<0.001" : "%.3f", p);
}

static void share_cell(double share, char *out)
{
    if (isnan(share))
        snprintf(out, ROWS_CELL, "-");
    else
        snprintf(out, ROWS_CELL, "%.1f %%", 100 * share);
}

static int has_value(const struct evaluation_row *row, enum measure m)
{
    return !isnan(row->values[m].value);
}

static enum measure of_figure(enum off_policy_figure f)
{
    return (enum measure)(MEASURE_OFF_POLICY + (int)f);
}

/* ---- returns ---- */

/* A column of the table; those with a deviation show it behind the mean. */
static const struct column {
    const char *head;
    enum evaluation_figure figure;
    double scale;
    int digits, with_deviation;
} columns[] = {
    { "reward", FIGURE_REWARD, 1, 3, 1 },
    { "response", FIGURE_RESPONSE, 1, 3, 1 },
    { "association", FIGURE_ASSOCIATION, 1, 3, 1 },
    { "latency s", FIGURE_LATENCY_S, 1, 2, 1 },
    { "usage mUSD", FIGURE_USAGE_USD, 1e3, 2, 1 },
    { "over", FIGURE_OVER, 100, 1, 0 },
    { "by s", FIGURE_LATENCY_EXCESS_S, 1, 2, 0 },
    { "by mUSD", FIGURE_USAGE_EXCESS_USD, 1e3, 2, 0 },
};

static void fill_cell(
    const struct evaluation *all, size_t n, const struct column *c, char *out)
{
    double mean, deviation;
    evaluation_summary(all, n, c->figure, &mean, &deviation);
    if (isnan(mean)) // no session exceeds
        snprintf(out, ROWS_CELL, "-");
    else if (c->with_deviation)
        snprintf(out, ROWS_CELL, "%.*f ± %.*f", c->digits, c->scale * mean, c->digits,
            c->scale * deviation);
    else
        snprintf(out, ROWS_CELL, "%.*f%s", c->digits, c->scale * mean,
            c->figure == FIGURE_OVER ? " %" : "");
}

static void tell_returns(const struct evaluate_report *r)
{
    enum { N = 2 + COUNT_OF(columns) };
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "policy", "seeds" };
    struct table *t = table_new(N);
    for (size_t i = 0; i < COUNT_OF(columns); i++)
        snprintf(cells[2 + i], ROWS_CELL, "%s", columns[i].head);
    rows_add(t, cells);
    for (size_t i = 0; i < r->table.n_rows; i++) {
        const struct evaluation_row *row = &r->table.rows[i];
        struct evaluation *all;
        size_t n;
        if (evaluate_returns(r, row, &all, NULL, &n, NULL))
            continue;
        snprintf(cells[0], ROWS_CELL, "%s", row->name);
        snprintf(cells[1], ROWS_CELL, "%zu", n);
        for (size_t c = 0; c < COUNT_OF(columns) && n; c++)
            fill_cell(all, n, &columns[c], cells[2 + c]);
        if (n)
            rows_add(t, cells);
        free(all);
    }
    puts("1. Inside the simulator: mean ± population deviation over seeds, each on its "
         "own test sessions\n");
    table_print(t);
    table_free(t);
    puts(
        "\nThe deviation is what training and splits add; other sessions add what the "
        "intervals below\nsay. Latency and usage are totals of a session. over: share of "
        "sessions beyond a budget; by:\nmean excess of all sessions beyond one of its "
        "kind, - where there is none. Policies take their\nmost probable action.");
}

static void tell_constraints(const struct evaluate_report *r)
{
    const struct environment_settings *set = &r->config.environment;
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "policy" };
    if (set->as_published || !set->n_constraints)
        return;
    struct table *t = table_new(1 + set->n_constraints);
    for (size_t k = 0; k < set->n_constraints; k++)
        evaluate_name_constraint(&set->constraints[k], cells[1 + k], ROWS_CELL);
    rows_add(t, cells);
    for (size_t i = 0; i < r->table.n_rows; i++) {
        const struct evaluation_row *row = &r->table.rows[i];
        struct evaluation *all;
        size_t n;
        if (evaluate_returns(r, row, &all, NULL, &n, NULL))
            continue;
        snprintf(cells[0], ROWS_CELL, "%s", row->name);
        for (size_t k = 0; k < set->n_constraints && n; k++) {
            double over = 0, sessions = 0, excess = 0, risk = 0;
            for (size_t e = 0; e < n; e++) {
                const struct evaluation_constraint *one = &all[e].constraints[k];
                over += (double)one->n_over;
                sessions += (double)all[e].n_sessions;
                risk += (double)all[e].n_sessions * one->probability;
                excess += one->n_over ? (double)one->n_over * one->mean_excess : 0;
            }
            if (over > 0)
                snprintf(cells[1 + k], ROWS_CELL, "%.1f %% by %.3g",
                    100 * over / sessions, excess / over);
            else
                snprintf(cells[1 + k], ROWS_CELL, "0.0 %%");
            size_t used = strlen(cells[1 + k]);
            if (!isnan(risk))
                snprintf(cells[1 + k] + used, ROWS_CELL - used, " (p %.1f %%)",
                    100 * risk / sessions);
        }
        if (n)
            rows_add(t, cells);
        free(all);
    }
    puts("\nConstraints: share of the sessions beyond each, and by how much these are on "
         "average; p:\nits probability where costs vary about their means as measured\n");
    table_print(t);
    table_free(t);
}

/* One measure of returns, with its intervals. */
static void tell_measure(
    const struct evaluate_report *r, enum measure m, const char *head, int with_bounds)
{
    int has_bound = with_bounds && evaluation_table_row(&r->table, ROW_BOUND);
    int has_kept = with_bounds && evaluation_table_row(&r->table, ROW_BOUND_KEPT);
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "policy", "", "", "p", "of bound",
        "of bound within budgets" };
    struct table *t = table_new(4 + (size_t)(has_bound + has_kept));
    snprintf(cells[1], ROWS_CELL, "%s", head);
    snprintf(cells[2], ROWS_CELL, "less %.40s", r->reference);
    rows_add(t, cells);
    for (size_t i = 0; i < r->table.n_rows; i++) {
        const struct evaluation_row *row = &r->table.rows[i];
        if (!has_value(row, m))
            continue;
        snprintf(cells[0], ROWS_CELL, "%s", row->name);
        value_cell(&row->values[m], cells[1]);
        difference_cell(&row->against[m], cells[2]);
        p_cell(row->against[m].adjusted, cells[3]);
        share_cell(row->shares[0], cells[4]);
        share_cell(row->shares[1], cells[5]);
        rows_add(t, cells);
    }
    table_print(t);
    table_free(t);
}

/* The estimators that were fitted, each kind once: by splits they may differ. */
static void name_estimators(const struct evaluate_report *r, char *out, size_t size)
{
    int seen[N_ESTIMATORS] = { 0 };
    size_t at = 0;
    *out = '\0';
    for (size_t i = 0; i < r->table.n_trials; i++) {
        const struct estimator *est = r->envs[i]->estimator;
        if (i == r->all_trial || seen[estimator_fitted(est)->kind]++ || at >= size)
            continue;
        int n =
            snprintf(out + at, size - at, "%s%s", at ? ", " : "", estimator_name(est));
        at += n > 0 ? (size_t)n : 0;
    }
}

static void tell_intervals(const struct evaluate_report *r)
{
    char names[100];
    name_estimators(r, names, sizeof names);
    printf("\nThe same with intervals. This is the return inside the simulator, the "
           "paper's measure: its\nestimator (%s) is fitted on the training sessions and "
           "serves the evaluation too;\nit does not predict scores of held-out answers "
           "(docs/tmo-evaluation.md)\n\n",
        names);
    tell_measure(r, MEASURE_RETURN, "return", 1);
    if (*r->unproved)
        printf("\n%s\n", r->unproved);
    puts("\nThe same actions, scored by such an estimator that was fitted on the test "
         "sessions only: what\nis gone was noise of the first one\n");
    tell_measure(r, MEASURE_RETURN_TEST, "return", 0);
}

/* ---- off-policy ---- */

static void tell_values(const struct evaluate_report *r, int sequence)
{
    enum measure plain = of_figure(sequence ? OFF_POLICY_SEQUENCE : OFF_POLICY_TURN);
    enum measure robust =
        of_figure(sequence ? OFF_POLICY_SEQUENCE_ROBUST : OFF_POLICY_TURN_ROBUST);
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "policy", "effective n",
        "self-normalised", "doubly robust", "", "p" };
    struct table *t = table_new(6);
    snprintf(cells[4], ROWS_CELL, "less %.40s", r->reference);
    rows_add(t, cells);
    for (size_t i = 0; i < r->table.n_rows; i++) {
        const struct evaluation_row *row = &r->table.rows[i];
        if (!row->value.n_turns)
            continue;
        snprintf(cells[0], ROWS_CELL, "%s", row->name);
        snprintf(cells[1], ROWS_CELL, "%.1f",
            sequence ? row->value.effective_sessions : row->value.effective_turns);
        value_cell(&row->values[plain], cells[2]);
        value_cell(&row->values[robust], cells[3]);
        difference_cell(&row->against[robust], cells[4]);
        p_cell(row->against[robust].adjusted, cells[5]);
        rows_add(t, cells);
    }
    table_print(t);
    table_free(t);
}

static void tell_off_policy(const struct evaluate_report *r)
{
    size_t n_turns = 0;
    for (size_t i = 0; i < r->table.n_rows; i++)
        if (r->table.rows[i].value.n_turns > n_turns)
            n_turns = r->table.rows[i].value.n_turns;
    printf("\n2. Off-policy values of %s: recorded answers and the probabilities of\n"
           "the behaviour that collected them, no simulator. %zu different turns; %s.\n",
        r->all_trial == SIZE_MAX ? "the test sessions" : "all sessions", n_turns,
        r->n_by_rule == 0 ? "probabilities as stored"
        : r->n_stored == 0
            ? "probabilities by M4A1's rule,\nnot stored (docs/tmo-evaluation.md)"
            : "some probabilities\nas stored, others by M4A1's rule");
    puts(
        "\nPer turn: one-step deviations, on the histories that the behaviour made; n in "
        "turns\n");
    tell_values(r, 0);
    puts("\nSequential: the policy chooses every turn; n in sessions. Below some ten, "
         "values mean little\n");
    tell_values(r, 1);
    puts("\nRewards a turn. effective n: so many turns (sessions) with equal weights "
         "would "
         "say as much.\nless and p: of the doubly robust value.");
}

static void tell_direct(const struct evaluate_report *r)
{
    enum measure m = of_figure(OFF_POLICY_DIRECT);
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "policy", "turns", "value", "", "p" };
    size_t most = 0;
    for (size_t i = 0; i < r->table.n_rows; i++)
        if (r->table.rows[i].value.n_direct > most)
            most = r->table.rows[i].value.n_direct;
    if (!most) {
        puts(
            "\n3. Direct values: none, since fan-out measured every action in no turn of "
            "these sessions.");
        return;
    }
    struct table *t = table_new(5);
    snprintf(cells[3], ROWS_CELL, "less %.40s", r->reference);
    rows_add(t, cells);
    for (size_t i = 0; i < r->table.n_rows; i++) {
        const struct evaluation_row *row = &r->table.rows[i];
        if (!row->value.n_direct)
            continue;
        snprintf(cells[0], ROWS_CELL, "%s", row->name);
        snprintf(cells[1], ROWS_CELL, "%zu", row->value.n_direct);
        value_cell(&row->values[m], cells[2]);
        difference_cell(&row->against[m], cells[3]);
        p_cell(row->against[m].adjusted, cells[4]);
        rows_add(t, cells);
    }
    puts("\n3. Direct values: turns in which fan-out measured every action; on the "
         "behaviour's histories\n");
    table_print(t);
    table_free(t);
}

/* ---- below the tables ---- */

static void tell_overlap(const struct evaluate_report *r)
{
    struct overlap sum = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < r->table.n_trials; i++) {
        if (i == r->all_trial)
            continue;
        n++;
        for (enum overlap_kind kind = 0; kind < N_OVERLAPS; kind++) {
            const struct overlap_count *one = &r->table.trials[i].overlap.of[kind];
            sum.of[kind].n += one->n;
            sum.of[kind].n_shared += one->n_shared;
            sum.of[kind].n_carriers += one->n_carriers;
            sum.of[kind].n_carriers_shared += one->n_carriers_shared;
        }
    }
    if (!n)
        return;
    printf(
        "\nOverlap: what test sessions share with training sessions, over %zu split%s\n",
        n, n == 1 ? "" : "s");
    for (enum overlap_kind kind = 0; kind < N_OVERLAPS; kind++) {
        const struct overlap_count *one = &sum.of[kind];
        printf("  %-8s %zu of %zu, over %zu of %zu %s\n", overlap_names[kind],
            one->n_shared, one->n, one->n_carriers_shared, one->n_carriers,
            overlap_carrier_names[kind]);
    }
}

static void tell_openings(const struct evaluate_report *r)
{
    if (!r->n_openings) {
        puts("\nOpenings of test sessions are counted where DATA is a store; this is "
             "none.");
        return;
    }
    puts("\nOpenings of the test sessions (a study opens them once)");
    for (size_t i = 0; i < r->n_openings; i++) {
        const struct opening *one = &r->openings[i];
        char first[32];
        if (one->n_before)
            printf("  %s: opened %" PRId64 " time%s before, first on %s\n", one->split,
                one->n_before, one->n_before == 1 ? "" : "s",
                clock_iso8601(one->first_ms, first, sizeof first));
        else
            printf("  %s: opened for the first time\n", one->split);
    }
    if (*r->why_not)
        printf("  This time is not entered: %s\n", r->why_not);
}

void evaluate_tell(const struct evaluate_report *r)
{
    static const char *const units[N_FOLDS_BY] = { "sessions", "prompts", "scenes" };
    const struct evaluation_settings *set = &r->table.settings;
    tell_returns(r);
    tell_constraints(r);
    tell_intervals(r);
    tell_off_policy(r);
    tell_direct(r);
    printf(
        "\nIntervals: 95 %%, paired bootstrap over %s (%zu resamples). p: against %s, by "
        "Holm over all\nrows of a table.\n",
        units[set->by], set->bootstrap.n_resamples, r->reference);
    tell_overlap(r);
    tell_openings(r);
    for (size_t i = 0; i < r->n_diagnoses; i++) {
        printf("\n%s", r->diagnoses[i].row);
        diagnosis_tell(&r->diagnoses[i].found);
    }
}
