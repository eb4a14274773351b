/* evaluation_table.c - gather sums by cluster, then resample them. */
#include "m4a1/tmo/evaluation_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/stats.h"
#include "m4a1/base/text.h"

const char *const measure_names[N_MEASURES] = { "return", "return_test", "turn",
    "turn_robust", "sequence", "sequence_robust", "direct" };

enum sum { ABOVE, BELOW, WEIGHTS, N_SUMS };
enum by_turn { RATIOS, PRODUCTS, MEASURED, N_BY_TURN };

struct evaluation_settings evaluation_defaults(void)
{
    return (struct evaluation_settings) { FOLDS_SESSION, bootstrap_defaults(),
        off_policy_defaults() };
}

enum status evaluation_table_init(struct evaluation_table *table,
    const struct recorded *rec, const struct evaluation_settings *settings,
    struct error *err)
{
    *table = (struct evaluation_table) { .rec = rec, .settings = *settings };
    return clusters_build(rec, settings->by, &table->clusters, err);
}

static void trial_release(struct trial *trial)
{
    free(trial->train);
    free(trial->test);
    estimator_free(trial->other);
}

void evaluation_table_release(struct evaluation_table *table)
{
    for (size_t i = 0; i < table->n_trials; i++)
        trial_release(&table->trials[i]);
    for (size_t i = 0; i < table->n_rows; i++) {
        for (size_t k = 0; k < table->rows[i].n; k++) {
            free(table->rows[i].entries[k].sums);
            free(table->rows[i].entries[k].by_turn);
        }
        free(table->rows[i].entries);
        free(table->rows[i].name);
    }
    free(table->trials);
    free(table->rows);
    clusters_release(&table->clusters);
    *table = (struct evaluation_table) { 0 };
}

/* ---- trials ---- */

static int same_list(const size_t *a, size_t n_a, const size_t *b, size_t n_b)
{
    return n_a == n_b && memcmp(a, b, n_a * sizeof *a) == 0;
}

static size_t *copy_list(const size_t *list, size_t n)
{
    size_t *copy = malloc((n + 1) * sizeof *copy);
    if (copy && n)
        memcpy(copy, list, n * sizeof *copy);
    return copy;
}

/* Too few answers for an estimator leave a trial without one; all else is an error. */
static enum status fit_other(
    const struct environment *env, struct trial *trial, struct error *err)
{
    enum status s =
        evaluation_estimator(env, trial->test, trial->n_test, &trial->other, err);
    if (s == E_DATA && err)
        *err = (struct error)ERROR_INIT;
    return s == E_DATA ? OK : s;
}

enum status evaluation_table_trial(struct evaluation_table *table,
    const struct environment *env, uint64_t seed, const size_t *train, size_t n_train,
    const size_t *test, size_t n_test, size_t *out, struct error *err)
{
    for (*out = 0; *out < table->n_trials; ++*out) {
        const struct trial *one = &table->trials[*out];
        if (one->seed == seed && same_list(one->train, one->n_train, train, n_train) &&
            same_list(one->test, one->n_test, test, n_test))
            return OK;
    }
    struct trial *trials = realloc(table->trials, (*out + 1) * sizeof *trials);
    if (!trials)
        return error_nomem(err, (*out + 1) * sizeof *trials);
    table->trials = trials;
    struct trial *trial = &trials[*out];
    *trial = (struct trial) { .seed = seed,
        .train = copy_list(train, n_train),
        .test = copy_list(test, n_test),
        .n_train = n_train,
        .n_test = n_test };
    enum status s = trial->train && trial->test
                        ? OK
                        : error_nomem(err, (n_train + n_test) * sizeof *train);
    if (!s)
        s = overlap_count(table->rec, train, n_train, test, n_test, &trial->overlap, err);
    if (!s)
        s = fit_other(env, trial, err);
    if (s)
        trial_release(trial);
    else
        table->n_trials++;
    return s;
}

/* ---- rows ---- */

struct evaluation_row *evaluation_table_row(
    const struct evaluation_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_rows; i++)
        if (text_equal(table->rows[i].name, name))
            return &table->rows[i];
    return NULL;
}

static enum status make_row(struct evaluation_table *table, const char *name,
    struct evaluation_row **out, struct error *err)
{
    *out = evaluation_table_row(table, name);
    if (*out)
        return OK;
    struct evaluation_row *rows =
        realloc(table->rows, (table->n_rows + 1) * sizeof *rows);
    if (rows)
        table->rows = rows;
    char *copy = text_copy(name);
    if (!rows || !copy) {
        free(copy);
        return error_nomem(err, (table->n_rows + 1) * sizeof *rows);
    }
    *out = &rows[table->n_rows++];
    **out = (struct evaluation_row) { .name = copy };
    return OK;
}

static double *sums_of(const struct evaluation_table *table, const struct entry *entry,
    enum measure measure, enum sum sum)
{
    return entry->sums + ((size_t)measure * N_SUMS + sum) * table->clusters.n;
}

/* Every session counts alike, however many turns it has. */
static void add_rewards(const struct evaluation_table *table, struct entry *entry,
    enum measure measure, const double *rewards)
{
    const struct trial *trial = &table->trials[entry->trial];
    for (size_t i = 0; i < trial->n_test; i++) {
        const struct recorded_session *one = &table->rec->sessions[trial->test[i]];
        double share = 1 / (double)one->n_turns;
        for (size_t t = one->first; t < one->first + one->n_turns; t++) {
            size_t c = table->clusters.of_turn[t];
            sums_of(table, entry, measure, ABOVE)[c] += share * rewards[t];
            sums_of(table, entry, measure, BELOW)[c] += share;
            sums_of(table, entry, measure, WEIGHTS)[c] += share;
        }
    }
}

static enum status play(const struct evaluation_table *table, struct entry *entry,
    const struct environment *env, const struct chooser *chooser, struct error *err)
{
    const struct trial *trial = &table->trials[entry->trial];
    size_t n = table->rec->n_turns;
    double *rewards = calloc(2 * n, sizeof *rewards);
    if (!rewards)
        return error_nomem(err, 2 * n * sizeof *rewards);
    const struct evaluation_options options = { .other = trial->other,
        .rewards = rewards,
        .other_rewards = rewards + n,
        .with_risk = !env->costs.is_exact };
    enum status s = evaluation_play(env, trial->test, trial->n_test, chooser, trial->seed,
        &options, &entry->evaluation, err);
    if (!s) {
        entry->has_return = 1;
        add_rewards(table, entry, MEASURE_RETURN, rewards);
    }
    if (!s && trial->other)
        add_rewards(table, entry, MEASURE_RETURN_TEST, rewards + n);
    free(rewards);
    return s;
}

static void keep_turns(const struct evaluation_table *table, struct entry *entry,
    const struct off_policy_turn *turns, size_t n)
{
    size_t n_turns = table->rec->n_turns;
    for (size_t i = 0; i < n; i++) {
        double *at = entry->by_turn + turns[i].turn;
        at[RATIOS * n_turns] = turns[i].ratio;
        at[PRODUCTS * n_turns] = turns[i].is_last ? turns[i].product : 0;
        at[MEASURED * n_turns] = isnan(turns[i].direct) ? 0 : 1;
    }
}

static enum status value(const struct evaluation_table *table, struct entry *entry,
    const struct environment *env, const struct chooser *chooser, struct error *err)
{
    const struct trial *trial = &table->trials[entry->trial];
    struct off_policy *op;
    enum status s = off_policy_new(
        env, trial->test, trial->n_test, &table->settings.off_policy, &op, err);
    if (s)
        return s;
    size_t n = off_policy_n_turns(op);
    struct off_policy_turn *turns = calloc(n, sizeof *turns);
    if (!turns)
        s = error_nomem(err, n * sizeof *turns);
    else if (chooser)
        s = off_policy_ask(op, chooser, turns, err);
    else
        off_policy_behaviour(op, turns);
    if (!s) {
        entry->has_values = 1;
        off_policy_summary(turns, n, &entry->value);
        keep_turns(table, entry, turns, n);
        for (enum off_policy_figure f = 0; f < N_OFF_POLICY_FIGURES; f++) {
            enum measure m = (enum measure)(MEASURE_OFF_POLICY + f);
            off_policy_sums(turns, n, f, &table->clusters,
                sums_of(table, entry, m, ABOVE), sums_of(table, entry, m, BELOW),
                sums_of(table, entry, m, WEIGHTS));
        }
    }
    free(turns);
    off_policy_free(op);
    return s;
}

enum status evaluation_table_add(struct evaluation_table *table, const char *name,
    size_t trial, const struct environment *env, const struct chooser *chooser,
    unsigned parts, struct error *err)
{
    struct evaluation_row *row;
    enum status s = make_row(table, name, &row, err);
    if (s)
        return s;
    for (size_t i = 0; i < row->n; i++)
        if (row->entries[i].trial == trial)
            return error_set(err, E_ARG,
                "two of \"%s\" were trained on the same split with one seed; evaluate "
                "one of them",
                name);
    struct entry *entries = realloc(row->entries, (row->n + 1) * sizeof *entries);
    if (!entries)
        return error_nomem(err, (row->n + 1) * sizeof *entries);
    row->entries = entries;
    struct entry *entry = &entries[row->n];
    size_t n_sums = (size_t)N_MEASURES * N_SUMS * table->clusters.n;
    *entry = (struct entry) { .trial = trial,
        .sums = calloc(n_sums + 1, sizeof *entry->sums),
        .by_turn = calloc(N_BY_TURN * table->rec->n_turns + 1, sizeof *entry->by_turn) };
    row->n++;
    if (!entry->sums || !entry->by_turn)
        return error_nomem(err, n_sums * sizeof *entry->sums);
    if (chooser && parts & EVALUATE_RETURN)
        s = play(table, entry, env, chooser, err);
    if (!s && parts & EVALUATE_VALUES)
        s = value(table, entry, env, chooser, err);
    return s;
}

/* ---- figures ---- */

/* Add the sums of a measure over a row's entries, of those trials only that like has. */
static void gather(const struct evaluation_table *table, const struct evaluation_row *row,
    const struct evaluation_row *like, enum measure measure, enum sum sum, double *out)
{
    for (size_t i = 0; i < row->n; i++) {
        int is_shared = 0;
        for (size_t k = 0; k < like->n; k++)
            is_shared |= like->entries[k].trial == row->entries[i].trial;
        const double *x = sums_of(table, &row->entries[i], measure, sum);
        for (size_t c = 0; is_shared && c < table->clusters.n; c++)
            out[c] += x[c];
    }
}

/* Scratch for one bootstrap of a row and its reference. */
struct pair {
    double *sums; /* [N_SUMS][2][C] */
    size_t n;     /* C */
};

/* A sequence has no clusters of prompts: its turns hang together through the session. */
static int has_clusters(const struct evaluation_table *table, enum measure m)
{
    enum measure first = MEASURE_OFF_POLICY + (int)OFF_POLICY_SEQUENCE;
    return table->settings.by != FOLDS_PROMPT || (m != first && m != first + 1);
}

static enum status measure_row(const struct evaluation_table *table,
    struct evaluation_row *row, const struct evaluation_row *reference, enum measure m,
    struct pair *pair, struct error *err)
{
    size_t n = pair->n;
    struct interval values[2];
    struct comparison against[2];
    memset(pair->sums, 0, N_SUMS * 2 * n * sizeof *pair->sums);
    for (enum sum sum = 0; sum < N_SUMS; sum++) {
        double *at = pair->sums + sum * 2 * n;
        gather(table, row, row, m, sum, at);
        if (reference)
            gather(table, reference, row, m, sum, at + n);
    }
    const struct bootstrap_sums sums = { reference ? 2 : 1, n, pair->sums,
        pair->sums + BELOW * 2 * n, pair->sums + WEIGHTS * 2 * n };
    enum status s = bootstrap_run(&sums, reference ? 1 : SIZE_MAX,
        &table->settings.bootstrap, values, against, err);
    if (s)
        return s;
    row->values[m] = values[0];
    row->against[m] = (struct comparison) { { NAN, NAN, NAN }, NAN, NAN };
    if (reference && row != reference)
        row->against[m] = against[0];
    if (!has_clusters(table, m)) {
        row->values[m].low = row->values[m].high = NAN;
        row->against[m].difference.low = row->against[m].difference.high = NAN;
        row->against[m].p = NAN;
    }
    return OK;
}

static enum status correct(
    struct evaluation_table *table, enum measure m, struct error *err)
{
    double *p = calloc(2 * table->n_rows + 1, sizeof *p);
    if (!p)
        return error_nomem(err, 2 * table->n_rows * sizeof *p);
    for (size_t i = 0; i < table->n_rows; i++)
        p[i] = table->rows[i].against[m].p;
    stats_holm(p, table->n_rows, p + table->n_rows);
    for (size_t i = 0; i < table->n_rows; i++)
        table->rows[i].against[m].adjusted = p[table->n_rows + i];
    free(p);
    return OK;
}

static double return_on(const struct evaluation_table *table,
    const struct evaluation_row *row, const struct evaluation_row *like, double *work)
{
    double above = 0, below = 0;
    memset(work, 0, 2 * table->clusters.n * sizeof *work);
    gather(table, row, like, MEASURE_RETURN, ABOVE, work);
    gather(table, row, like, MEASURE_RETURN, BELOW, work + table->clusters.n);
    for (size_t c = 0; c < table->clusters.n; c++) {
        above += work[c];
        below += work[table->clusters.n + c];
    }
    return below > 0 ? above / below : NAN;
}

/* (sum w)^2 / sum w^2 over the turns of rec, each with its weights of all entries. */
static double pool_weights(const struct evaluation_table *table,
    const struct evaluation_row *row, enum by_turn what, double *sum)
{
    double squares = 0;
    *sum = 0;
    for (size_t t = 0; t < table->rec->n_turns; t++) {
        double w = 0;
        for (size_t i = 0; i < row->n; i++)
            w += row->entries[i].by_turn[(size_t)what * table->rec->n_turns + t];
        *sum += w;
        squares += w * w;
    }
    return squares > 0 ? *sum * *sum / squares : 0;
}

/* Count the turns of test sessions, and those with every action measured, once each. */
static void count_turns(const struct evaluation_table *table, struct evaluation_row *row)
{
    size_t n_turns = table->rec->n_turns;
    for (size_t s = 0; s < table->rec->n_sessions; s++) {
        const struct recorded_session *one = &table->rec->sessions[s];
        int is_test = 0;
        for (size_t i = 0; i < row->n; i++) {
            const struct trial *trial = &table->trials[row->entries[i].trial];
            for (size_t k = 0; k < trial->n_test; k++)
                is_test |= row->entries[i].has_values && trial->test[k] == s;
        }
        for (size_t t = one->first; is_test && t < one->first + one->n_turns; t++) {
            double measured = 0;
            for (size_t i = 0; i < row->n; i++)
                measured += row->entries[i].by_turn[MEASURED * n_turns + t];
            row->value.n_turns++;
            row->value.n_direct += measured > 0;
        }
    }
}

/* Pool the off-policy values, and the deviation over seeds. */
static void pool_entries(const struct evaluation_table *table, struct evaluation_row *row)
{
    double sum, ratios, n = 0;
    row->value = (struct off_policy_value) { 0 };
    count_turns(table, row);
    row->value.effective_sessions = pool_weights(table, row, PRODUCTS, &sum);
    row->value.effective_turns = pool_weights(table, row, RATIOS, &ratios);
    for (size_t i = 0; i < row->n; i++)
        n += (double)row->entries[i].value.n_turns;
    row->value.mean_ratio = n > 0 ? ratios / n : NAN;
    for (enum off_policy_figure f = 0; f < N_OFF_POLICY_FIGURES; f++)
        row->value.of[f] = row->values[MEASURE_OFF_POLICY + (int)f].value;
    double x[EVALUATION_MAX_SEEDS];
    size_t n_returns = 0;
    for (size_t i = 0; i < row->n && n_returns < EVALUATION_MAX_SEEDS; i++)
        if (row->entries[i].has_return)
            x[n_returns++] = row->entries[i].evaluation.reward;
    row->deviation = n_returns > 1 ? stats_deviation(x, n_returns) : NAN;
}

static int is_bound(const struct evaluation_row *row, const char *const *bounds)
{
    for (size_t k = 0; k < EVALUATION_BOUNDS; k++)
        if (text_equal(row->name, bounds[k]))
            return 1;
    return 0;
}

enum status evaluation_table_finish(struct evaluation_table *table, const char *reference,
    const char *const bounds[EVALUATION_BOUNDS], struct error *err)
{
    const struct evaluation_row *base =
        reference ? evaluation_table_row(table, reference) : NULL;
    if (reference && !base)
        return error_set(err, E_ARG,
            "nothing that is evaluated is called \"%s\", so nothing can be compared with "
            "it; the first row is \"%s\"",
            reference, table->n_rows ? table->rows[0].name : "");
    struct pair pair = { .n = table->clusters.n };
    pair.sums = calloc(N_SUMS * 2 * pair.n + 1, sizeof *pair.sums);
    if (!pair.sums)
        return error_nomem(err, N_SUMS * 2 * pair.n * sizeof *pair.sums);
    enum status s = OK;
    for (size_t i = 0; i < table->n_rows && !s; i++) {
        struct evaluation_row *row = &table->rows[i];
        for (enum measure m = 0; m < N_MEASURES && !s; m++)
            s = measure_row(
                table, row, is_bound(row, bounds) ? NULL : base, m, &pair, err);
        pool_entries(table, row);
        for (size_t k = 0; k < EVALUATION_BOUNDS && !s; k++) {
            const struct evaluation_row *top = evaluation_table_row(table, bounds[k]);
            row->shares[k] = top ? return_on(table, row, top, pair.sums) /
                                       return_on(table, top, row, pair.sums)
                                 : NAN;
        }
    }
    for (enum measure m = 0; m < N_MEASURES && !s; m++)
        s = correct(table, m, err);
    free(pair.sums);
    return s;
}
