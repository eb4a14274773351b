/* test_diagnosis.c - data and settings that make training fail in each of the four ways;
 * the diagnosis must name it, and what it says next must help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/diagnosis.h"
#include "m4a1/tmo/training.h"
#include "tests/support/tmo_data.h"

#define N_SESSIONS 30
#define N_TRAIN 20 /* of a fixed split: the first ones */
#define N_TURNS 3
#define MAX_SEEDS 5

/* What one made data set is like. */
struct made {
    double local, cloud;       /* scores */
    double cloud_in_test;      /* of sessions from N_TRAIN on */
    double noise;              /* deviation of all scores */
    double outliers;           /* the share of scores that are 9 by accident */
    double association[2];     /* of the two views */
    const char *config, *next; /* settings; options that the diagnosis should lead to */
};

static struct dataset *make_data(const struct made *m)
{
    struct buffer text;
    struct rng rng;
    buffer_init(&text, 1 << 22);
    rng_init(&rng, 7, "test/diagnosis", 0);
    for (int i = 0; i < N_SESSIONS; i++) {
        buffer_printf(&text,
            "%s{\"id\": %d, \"image_paths\": [\"a%d.jpg\", \"b%d.jpg\"], "
            "\"interactions\": [",
            i ? "," : "[", i, i, i);
        for (int t = 0; t < N_TURNS; t++) {
            int cloud = (i + t) % 2, view = (i / 2 + t) % 4;
            double cloud_score = i < N_TRAIN ? m->cloud : m->cloud_in_test;
            double score = (cloud ? cloud_score : m->local) + m->noise * rng_normal(&rng);
            if (rng_uniform(&rng) < m->outliers)
                score = 9;
            static const char *const views[] = { "null", "[0]", "[1]", "[0, 1]" };
            buffer_printf(&text,
                "%s{\"question\": \"q%d\", \"task_cat\": \"%s\", \"action\": %d, "
                "\"image_index\": %s, \"answer\": \"yes\", \"score\": %.6f, "
                "\"interaction_time\": 2, \"usage_cost\": 0.001}",
                t ? ", " : "", (i + 2 * t) % 5, (i + t / 2) % 2 ? "a" : "b", cloud,
                cloud ? views[t ? (view == 1 || view == 2 ? 0 : view) : view] : "null",
                fmax(score, 0));
        }
        buffer_add_str(&text, "], \"association_score\": [");
        for (int t = 0; t < N_TURNS; t++)
            buffer_printf(
                &text, "%s[%g, %g]", t ? ", " : "", m->association[0], m->association[1]);
        buffer_add_str(&text, "]}");
    }
    buffer_add_str(&text, "]");
    struct dataset *data = text_dataset(buffer_str(&text));
    buffer_release(&text);
    return data;
}

/* Trained policies of one made data set, one a seed. */
struct world {
    struct dataset *data;
    struct tmo_config config;
    struct recorded *rec;
    struct training runs[MAX_SEEDS];
    struct chooser choosers[MAX_SEEDS];
    struct diagnosis_run looks[MAX_SEEDS];
    size_t n;
};

static void check(enum status s, const struct error *err)
{
    if (s)
        fail_msg("%s", err->msg);
}

/* Sessions 0 .. N_TRAIN - 1 for training, the others for the test. */
static void fix_split(struct training *t)
{
    struct split *split = &t->policy.split;
    assert_true(split->n_train >= N_TRAIN);
    for (size_t i = 0; i < N_SESSIONS; i++)
        if (i < N_TRAIN)
            t->train[i] = i;
        else if (i - N_TRAIN < split->n_test)
            t->test[i - N_TRAIN] = i;
    split->n_train = N_TRAIN;
}

static struct world *train(const struct made *m, size_t n_seeds, int is_fixed)
{
    struct world *w = calloc(1, sizeof *w);
    struct error err = ERROR_INIT;
    struct json *json;
    assert_non_null(w);
    w->data = make_data(m);
    w->n = n_seeds;
    tmo_config_init(&w->config, 0);
    check(json_parse(m->config, strlen(m->config), "config", 0, &json, &err), &err);
    check(tmo_config_read(&w->config, json, "config", &err), &err);
    json_free(json);
    check(tmo_config_settle(&w->config, &err), &err);
    check(tmo_config_record(&w->config, w->data, &w->rec, &err), &err);
    for (size_t i = 0; i < n_seeds; i++) {
        struct training *t = &w->runs[i];
        check(training_prepare(t, w->rec, &w->config, i, &err), &err);
        if (is_fixed)
            fix_split(t);
        check(training_fit(t, &err), &err);
        check(training_run(t, NULL, NULL, &err), &err);
        w->choosers[i] = (struct chooser) { network_weigh, &t->policy.network };
        w->looks[i] = (struct diagnosis_run) { t->env, t->test, t->policy.split.n_test,
            &w->choosers[i] };
    }
    return w;
}

static void forget(struct world *w)
{
    for (size_t i = 0; i < w->n; i++)
        training_release(&w->runs[i]);
    recorded_free(w->rec);
    tmo_config_release(&w->config);
    dataset_free(w->data);
    free(w);
}

static struct diagnosis look(const struct world *w)
{
    struct diagnosis d;
    struct error err = ERROR_INIT;
    check(diagnosis_make(w->looks, w->n, "m4a1 train DATA", &d, &err), &err);
    return d;
}

static void is_found(const struct diagnosis *d, enum diagnosis_kind kind,
    const char *cause, const char *next)
{
    const struct diagnosis_finding *f = &d->findings[kind];
    if (!f->found || !strstr(f->cause, cause) || !strstr(f->next, next) ||
        strncmp(f->next, "m4a1 train DATA ", 16) != 0)
        fail_msg("%s: found %d: %s | %s | %s", diagnosis_names[kind], f->found, f->said,
            f->cause, f->next);
    assert_true(f->figure >= f->threshold);
}

static void is_not_found(const struct diagnosis *d, enum diagnosis_kind kind)
{
    const struct diagnosis_finding *f = &d->findings[kind];
    if (f->found)
        fail_msg("%s: %s | %s", diagnosis_names[kind], f->said, f->cause);
    assert_string_equal(f->cause, "");
    assert_string_equal(f->next, "");
}

/* Cloud answers take as long and cost as much whatever they see. */
#define COSTS                                                                            \
    "\"costs\": {\"table\": {\"m4a1_cost_table\": 1, \"llms\": {"                        \
    "\"local\": {\"latency_s\": [1], \"usage_usd\": [0]},"                               \
    "\"cloud\": {\"latency_s\": [3, 3, 3], \"usage_usd\": [0.01, 0.01, 0.01]}}}}"
#define STEPS "\"learner\": {\"name\": \"a2c\", \"steps\": 5000}"
#define MEANS "\"estimator\": {\"kind\": \"role\"}"

static void test_local_by_weights(void **state)
{
    (void)state;
    struct made m = { .local = 1,
        .cloud = 1.25,
        .cloud_in_test = 1.25,
        .noise = 0.01,
        .association = { 0.1, 0.3 },
        .config = "{" COSTS ", " STEPS ", " MEANS "}" };
    struct world *w = train(&m, 1, 1);
    struct diagnosis d = look(w);
    is_found(&d, DIAGNOSIS_LOCAL, "the reward's weights: in 100 %",
        "--set reward.latency=0.111 --set reward.usage=0.111");
    is_not_found(&d, DIAGNOSIS_VIEWS);
    assert_false(d.findings[DIAGNOSIS_VIOLATIONS].applies);
    assert_false(d.findings[DIAGNOSIS_VARIANCE].applies);
    forget(w);

    // What it says next ends it.
    m.config = "{" COSTS ", " STEPS ", " MEANS
               ", \"reward\": {\"latency\": 0.111, \"usage\": 0.111}}";
    w = train(&m, 1, 1);
    d = look(w);
    is_not_found(&d, DIAGNOSIS_LOCAL);
    forget(w);
}

static void test_local_by_underestimation(void **state)
{
    (void)state;
    const struct made m = { .local = 1,
        .cloud = 0.2,
        .cloud_in_test = 3,
        .noise = 0.05,
        .association = { 0.1, 0.3 },
        .config = "{" COSTS ", " STEPS ", " MEANS "}" };
    struct world *w = train(&m, 1, 1);
    struct diagnosis d = look(w);
    is_found(&d, DIAGNOSIS_LOCAL,
        "the cloud is underestimated: held-out cloud scores "
        "are 2.",
        "--estimator auto");
    forget(w);
}

static void test_all_views(void **state)
{
    (void)state;
    struct made m = { .local = 1,
        .cloud = 3,
        .cloud_in_test = 3,
        .noise = 0.01,
        .association = { 0.2, 0.201 },
        .config = "{" COSTS ", " STEPS ", " MEANS "}" };
    struct world *w = train(&m, 1, 1);
    struct diagnosis d = look(w);
    is_found(&d, DIAGNOSIS_VIEWS, "associations hardly differ", "reward.association=0");
    is_not_found(&d, DIAGNOSIS_LOCAL);
    forget(w);

    m.association[0] = 0.05;
    m.association[1] = 0.3;
    w = train(&m, 1, 1);
    d = look(w);
    is_found(&d, DIAGNOSIS_VIEWS, "the weight of association (0.333)",
        "reward.association=0.111");
    forget(w);
}

static void test_violations(void **state)
{
    (void)state;
    struct made m = { .local = 1,
        .cloud = 3,
        .cloud_in_test = 3,
        .noise = 0.01,
        .association = { 0.1, 0.3 },
        .config = "{" COSTS ", " STEPS ", " MEANS ", \"reward\": {\"response\": 10},"
                  " \"handling\": \"penalty\", \"lambda\": 5, \"constraints\": "
                  "[{\"kind\": \"latency\", \"budget\": 6}]}" };
    struct world *w = train(&m, 1, 1);
    struct diagnosis d = look(w);
    is_found(&d, DIAGNOSIS_VIOLATIONS, "the penalty is small against the reward",
        "--handling penalty --lambda ");
    forget(w);

    // Budgets below three turns of the cheapest action.
    m.config = "{" COSTS ", " STEPS ", " MEANS ", \"handling\": \"shield\", "
               "\"constraints\": [{\"kind\": \"privacy\", \"budget\": 3, \"horizon\": 2},"
               " {\"kind\": \"latency\", \"budget\": 2}]}";
    w = train(&m, 1, 1);
    d = look(w);
    is_found(&d, DIAGNOSIS_VIOLATIONS, "exceed that of latency even with the cheapest",
        "--constraint privacy=3:2 --constraint latency=4");
    forget(w);

    // The shield keeps what can be kept.
    m.config = "{" COSTS ", " STEPS ", " MEANS ", \"constraints\": [{\"kind\": "
               "\"latency\", \"budget\": 6}]}";
    w = train(&m, 1, 1);
    d = look(w);
    is_not_found(&d, DIAGNOSIS_VIOLATIONS);
    assert_true(d.findings[DIAGNOSIS_VIOLATIONS].applies);
    assert_true(d.findings[DIAGNOSIS_VIOLATIONS].figure == 0);
    forget(w);
}

static void test_variance(void **state)
{
    (void)state;
    struct made m = { .local = 1,
        .cloud = 1,
        .cloud_in_test = 1,
        .noise = 0.2,
        .outliers = 0.06,
        .association = { 0.1, 0.3 },
        .config = "{" COSTS ", " STEPS ", \"estimator\": {\"kind\": \"published\", "
                  "\"k\": 1}}" };
    struct world *w = train(&m, MAX_SEEDS, 0);
    struct diagnosis d = look(w);
    is_found(&d, DIAGNOSIS_VARIANCE, "noise: on held-out scores the estimator published",
        "--k 4");
    forget(w);

    m.outliers = 0;
    m.cloud = m.cloud_in_test = 3;
    w = train(&m, MAX_SEEDS, 0);
    d = look(w);
    is_not_found(&d, DIAGNOSIS_VARIANCE);
    forget(w);
}

static void test_nothing_to_look_at(void **state)
{
    (void)state;
    struct diagnosis d;
    struct error err = ERROR_INIT;
    assert_int_equal(diagnosis_make(NULL, 0, "m4a1 train DATA", &d, &err), E_ARG);
}

static void test_as_json(void **state)
{
    (void)state;
    struct diagnosis d = { 0 };
    struct json *o = json_new_object();
    d.findings[0] = (struct diagnosis_finding) { DIAGNOSIS_LOCAL, 1, 1, 0.95, 0.9,
        "most of it", "why", "m4a1 train" };
    d.findings[3].figure = NAN;
    assert_int_equal(diagnosis_write(&d, o, NULL), OK);
    const struct json *list = json_get(o, "diagnosis"), *first = json_at(list, 0);
    assert_int_equal(json_size(list), N_DIAGNOSES);
    assert_string_equal(json_text(json_get(first, "name"), ""), "always local");
    assert_true(json_number(json_get(first, "figure"), 0) == 0.95);
    assert_true(json_bool(json_get(first, "found"), 0));
    assert_string_equal(json_text(json_get(first, "next"), ""), "m4a1 train");
    assert_true(json_is_null(json_get(json_at(list, 3), "figure")));
    json_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local_by_weights),
        cmocka_unit_test(test_local_by_underestimation),
        cmocka_unit_test(test_all_views),
        cmocka_unit_test(test_violations),
        cmocka_unit_test(test_variance),
        cmocka_unit_test(test_nothing_to_look_at),
        cmocka_unit_test(test_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
