/* cmd_train.c - m4a1 train: one policy a seed. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/json_keep.h"
#include "m4a1/base/files.h"
#include "m4a1/base/pool.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/diagnosis_tell.h"
#include "m4a1/cli/tmo_options.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/training.h"

static const struct cli_option options[] = {
    { "learner", "NAME", "ppo (default), a2c (that of --as-published) or dqn" },
    { "steps", "N",
        "environment steps a seed, rounded up to whole rollouts (default: the "
        "learner's)" },
    { "seeds", "N|LIST", "several seeds: 0,1,2 (default), or a count N for 0 .. N-1" },
    { "seed", "N", "one seed" },
    { "split", "FILE|NAME",
        "session ids, FILE:KEY of many, or a store's split (default: "
        "80/20 drawn per seed)" },
    TMO_ACTIONS_OPTION("actions", ""),
    TMO_SETUP_OPTIONS(""),
    { "print-config", NULL, "print every setting as JSON, and train nothing" },
    { "out", "DIR", "folder for the policies (default policies)" },
    { "force", NULL, "train anew and replace policies that are there" },
    { "json", NULL, "print the figures as JSON" },
    { NULL, NULL, NULL },
};

#define DIAGNOSED_MAX 10 /* runs whose environments are kept for the diagnosis */

/* What all seeds share; the lock guards progress. */
struct run_all {
    const struct dataset *data;
    struct tmo_config *config;
    const char *folder;
    pthread_mutex_t lock;
    struct progress *progress;
};

/* One seed: its job reads nothing that another writes. */
struct seed_job {
    struct run_all *all;
    struct training training;
    struct evaluation result;
    char *path;
    int kept;     /* the policy was there, of equal config */
    int diagnose; /* keep the environment */
    enum status status;
    struct error err;
};

static int report(void *arg, int64_t n_steps)
{
    struct run_all *all = arg;
    pthread_mutex_lock(&all->lock);
    progress_step(all->progress, n_steps, NULL);
    pthread_mutex_unlock(&all->lock);
    return cli_interrupted != 0;
}

/* ---- one seed ---- */

static enum status train_and_save(struct seed_job *job, struct error *err)
{
    enum status s = training_run(&job->training, report, job->all, err);
    return s ? s : policy_save(&job->training.policy, job->training.env, job->path, err);
}

static void run_seed(void *arg)
{
    struct seed_job *job = arg;
    struct training *t = &job->training;
    const struct chooser chooser = { network_weigh, &t->policy.network };
    enum status s = cli_interrupted ? E_INTERRUPTED : training_fit(t, &job->err);
    if (!s && !job->kept)
        s = train_and_save(job, &job->err);
    if (!s)
        s = evaluation_run(t->env, t->test, t->policy.split.n_test, &chooser,
            t->policy.seed, &job->result, &job->err);
    if (!job->diagnose) {
        environment_free(t->env);
        t->env = NULL;
    }
    job->status = s;
}

/* Before an hour of training, not behind it: a policy that is there is kept where it is
 * what would be trained, and else in the way. */
static enum status look_for(struct cli *cli, struct seed_job *job, struct error *err)
{
    struct policy *policy = &job->training.policy, there;
    struct error why = ERROR_INIT;
    if (cli_flag(cli, "force") || !file_exists(job->path))
        return OK;
    enum status s = policy_load(job->path, job->all->data, &there, &why);
    if (s == E_NOMEM)
        return error_nomem(err, 64);
    if (!s && policy_equals(&there, &policy->config, policy->seed, &policy->split)) {
        training_take(&job->training, &there);
        job->kept = 1;
    } else {
        error_set(err, E_ARG,
            "%s is there already%s%.300s; --force replaces policies, --out DIR writes "
            "elsewhere. Nothing was trained",
            job->path, s ? ", and is none of this training: " : ", of other settings",
            s ? why.msg : "");
        s = E_ARG;
    }
    policy_release(&there);
    return job->kept ? OK : s;
}

static enum status prepare_seed(struct cli *cli, struct seed_job *job,
    const struct recorded *rec, uint64_t seed, struct error *err)
{
    const struct tmo_config *config = job->all->config;
    const struct environment_settings *set = &config->environment;
    const char *handling = handling_names[set->handling];
    enum status s = training_prepare(&job->training, rec, config, seed, err);
    if (s)
        return s;
    if (set->handling == HANDLING_PUBLISHED)
        handling = "resource-aware";
    job->path = text_format("%s/%s%s%s-seed%" PRIu64 ".json", job->all->folder,
        learner_names[config->learner.kind], set->handling ? "-" : "",
        set->handling ? handling : "", seed);
    return job->path ? look_for(cli, job, err) : error_nomem(err, 64);
}

/* All seeds, side by side where there are several; the first failure is reported. */
static enum status run_jobs(struct seed_job *jobs, size_t n, struct error *err)
{
    if (n == 1) {
        run_seed(&jobs[0]);
    } else {
        struct pool *pool;
        enum status s = pool_new(0, &pool, err);
        for (size_t i = 0; i < n && !s; i++)
            s = pool_submit(pool, run_seed, &jobs[i], err);
        pool_free(pool);
        if (s)
            return s;
    }
    for (size_t i = 0; i < n; i++)
        if (jobs[i].status) {
            if (err)
                *err = jobs[i].err;
            return jobs[i].status == E_INTERRUPTED
                       ? error_set(err, E_INTERRUPTED,
                             "interrupted; policies that were finished are kept by the "
                             "same command")
                       : error_prefix(
                             err, "seed %" PRIu64 ": ", jobs[i].training.policy.seed);
        }
    return OK;
}

static enum status diagnose(const struct seed_job *jobs, size_t n, const char *data,
    struct diagnosis *out, struct error *err)
{
    char *command = text_format("m4a1 train %s --config %s", data, jobs[0].path);
    if (!command)
        return error_nomem(err, 64);
    struct diagnosis_run runs[DIAGNOSED_MAX];
    struct chooser choosers[DIAGNOSED_MAX];
    size_t n_runs = n < DIAGNOSED_MAX ? n : DIAGNOSED_MAX;
    for (size_t i = 0; i < n_runs; i++) {
        const struct training *t = &jobs[i].training;
        choosers[i] = (struct chooser) { network_weigh, (void *)&t->policy.network };
        runs[i] = (struct diagnosis_run) { t->env, t->test, t->policy.split.n_test,
            &choosers[i] };
    }
    enum status s = diagnosis_make(runs, n_runs, command, out, err);
    free(command);
    return s;
}

/* ---- output ---- */

static double local_share(const struct seed_job *job)
{
    return (double)job->result.n_local / (double)job->result.n_turns;
}

static void print_results(
    const struct seed_job *jobs, size_t n, const struct diagnosis *d, const char *data)
{
    struct table *t = table_new(8);
    table_row(
        t, "seed", "train", "test", "reward", "local choices", "over", "", "policy");
    for (size_t i = 0; i < n; i++) {
        const struct seed_job *job = &jobs[i];
        const struct policy *policy = &job->training.policy;
        char seed[24], train[24], test[24], reward[24], local[24], over[24];
        snprintf(seed, sizeof seed, "%" PRIu64, policy->seed);
        snprintf(train, sizeof train, "%zu", policy->split.n_train);
        snprintf(test, sizeof test, "%zu", policy->split.n_test);
        snprintf(reward, sizeof reward, "%.3f", job->result.reward);
        snprintf(local, sizeof local, "%.0f %%", 100 * local_share(job));
        snprintf(over, sizeof over, "%.0f %%", 100 * job->result.over);
        table_row(t, seed, train, test, reward, local, over,
            job->kept ? "kept" : "trained", job->path);
    }
    table_print(t);
    table_free(t);
    printf(
        "\ntrain, test: sessions. reward: mean over the test sessions inside the "
        "simulator\n(estimator: %s); it does not predict scores of real answers "
        "(docs/tmo.md). local\nchoices: share of the test turns that the policy leaves "
        "to local llms. over: share of\nthe test sessions beyond a budget.\n",
        estimator_name(jobs[0].training.env->estimator));
    diagnosis_tell(d);
    printf("\nNext, beside Random, Local and Cloud:\n  m4a1 evaluate %s", data);
    for (size_t i = 0; i < n; i++)
        printf(" %s", jobs[i].path);
    putchar('\n');
}

static enum status print_json(const struct run_all *all, const struct seed_job *jobs,
    size_t n, const struct diagnosis *d, struct error *err)
{
    struct json_keeper k = { 1 };
    struct json *root = json_keep(&k, json_new_object());
    int as_published = all->config->environment.as_published;
    json_keep(&k, json_set_text(root, "data", all->data->source));
    json_keep(&k, json_set_text(root, "digest", all->data->digest));
    json_keep(&k, json_set_bool(root, "simulated", all->data->simulated));
    json_keep(&k,
        json_set_text(root, "environment", as_published ? "as-published" : "corrected"));
    json_keep(
        &k, json_set_text(root, "learner", learner_names[all->config->learner.kind]));
    json_keep(
        &k, json_set_int(root, "steps", jobs[0].training.policy.config.learner.steps));
    enum status s = tmo_config_write(&jobs[0].training.policy.config, 0,
        json_keep(&k, json_set_object(root, "config")), err);
    struct json *list = json_keep(&k, json_set_array(root, "policies"));
    for (size_t i = 0; i < n; i++) {
        const struct policy *policy = &jobs[i].training.policy;
        struct json *o = json_keep(&k, json_add_object(list));
        json_keep(&k, json_set_int(o, "seed", (int64_t)policy->seed));
        json_keep(&k, json_set_text(o, "path", jobs[i].path));
        json_keep(&k, json_set_bool(o, "kept", jobs[i].kept));
        json_keep_count(&k, o, "train_sessions", policy->split.n_train);
        json_keep_count(&k, o, "test_sessions", policy->split.n_test);
        json_keep_figure(&k, o, "reward", jobs[i].result.reward);
        json_keep_figure(&k, o, "response", jobs[i].result.response);
        json_keep_figure(&k, o, "association", jobs[i].result.association);
        json_keep_figure(&k, o, "latency_s", jobs[i].result.latency_s);
        json_keep_figure(&k, o, "usage_usd", jobs[i].result.usage_usd);
        json_keep_figure(&k, o, "over", jobs[i].result.over);
        json_keep_figure(&k, o, "local_choices", local_share(&jobs[i]));
    }
    if (!s)
        s = diagnosis_write(d, root, err);
    if (!s)
        s = k.ok ? cli_print_json(root, err) : error_nomem(err, 64 * n);
    json_free(root);
    return s;
}

static enum status print_config(const struct tmo_config *config, struct error *err)
{
    struct json *root = json_new_object();
    enum status s = root ? tmo_config_write(config, 0, root, err) : error_nomem(err, 64);
    if (!s)
        s = cli_print_json(root, err);
    json_free(root);
    return s;
}

/* ---- all ---- */

static void warn_of(
    struct cli *cli, const struct run_all *all, const struct recorded *rec)
{
    const struct learner_settings *set = &all->config->learner;
    int64_t whole = learner_whole_steps(set);
    if (cli_value(cli, "steps") && whole != set->steps)
        fprintf(stderr,
            "--steps %" PRId64 " are rounded up to %" PRId64
            ", whole rollouts of %" PRId64 " steps.\n",
            set->steps, whole, set->n_rollout);
    tmo_setup_warn(rec);
}

static enum status train_all(struct cli *cli, struct run_all *all, struct seed_job *jobs,
    size_t n, struct error *err)
{
    struct diagnosis d;
    int64_t steps = jobs[0].training.policy.config.learner.steps, n_new = 0;
    for (size_t i = 0; i < n; i++) {
        jobs[i].diagnose = i < DIAGNOSED_MAX;
        n_new += !jobs[i].kept;
    }
    enum status s = folder_make(all->folder, err);
    if (s)
        return s;
    char what[32];
    snprintf(what, sizeof what, "training %s", learner_names[all->config->learner.kind]);
    all->progress = n_new ? cli_progress(cli, what, n_new * steps) : NULL;
    s = run_jobs(jobs, n, err);
    progress_free(all->progress);
    if (!s)
        tmo_costs_warn(jobs[0].training.env);
    if (!s)
        s = diagnose(jobs, n, cli_arg(cli, 0), &d, err);
    if (!s && cli_flag(cli, "json"))
        s = print_json(all, jobs, n, &d, err);
    else if (!s)
        print_results(jobs, n, &d, cli_arg(cli, 0));
    return s;
}

/* Everything that can be refused is, before the data are spoken of and training begins. */
static enum status prepare_and_train(struct cli *cli, struct run_all *all,
    const uint64_t *seeds, size_t n, struct error *err)
{
    struct recorded *rec = NULL;
    struct seed_job *jobs = calloc(n, sizeof *jobs);
    enum status s = jobs ? OK : error_nomem(err, n * sizeof *jobs);
    if (!s)
        s = tmo_record(cli, all->config, all->data, &rec, err);
    for (size_t i = 0; i < n && !s; i++) {
        jobs[i].all = all;
        s = prepare_seed(cli, &jobs[i], rec, seeds[i], err);
    }
    if (!s) {
        warn_of(cli, all, rec);
        s = train_all(cli, all, jobs, n, err);
    }
    for (size_t i = 0; jobs && i < n; i++) {
        training_release(&jobs[i].training);
        free(jobs[i].path);
    }
    free(jobs);
    recorded_free(rec);
    return s;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct tmo_config config = { 0 };
    struct run_all all = { .lock = PTHREAD_MUTEX_INITIALIZER,
        .config = &config,
        .folder = cli_value(cli, "out") ? cli_value(cli, "out") : "policies" };
    struct dataset *data = NULL;
    uint64_t *seeds = NULL;
    size_t n_seeds;
    cli_catch_interrupts();
    enum status s = tmo_seeds(cli, &seeds, &n_seeds, err);
    if (!s)
        s = tmo_config_options(cli, "actions", &config, err);
    if (!s && cli_flag(cli, "print-config")) {
        s = print_config(&config, err);
    } else if (!s) {
        s = cli_n_args(cli) ? tmo_data(cli, &data, err)
                            : cli_usage(cli, err, "DATA is missing: what to train on");
        all.data = data;
        if (!s)
            s = prepare_and_train(cli, &all, seeds, n_seeds, err);
    }
    free(seeds);
    dataset_free(data);
    tmo_config_release(&config);
    pthread_mutex_destroy(&all.lock);
    return s;
}

const struct verb verb_train = {
    .name = "train",
    .stage = STAGE_TRAIN,
    .args = "[DATA]",
    .min_args = 0,
    .max_args = 1,
    .summary = "train a policy that chooses LLM and views",
    .help =
        "Trains one policy a seed on DATA (a store, an export folder or the authors'\n"
        "JSON) and writes each as a readable JSON file. The default world corrects what\n"
        "is wrong with the published one: the learner's own actions make what it sees\n"
        "next, views stay in the dialogue, the estimator is chosen by cross-validation\n"
        "on the training sessions, and budgets that are given are kept by a shield.\n"
        "--as-published takes TMO's own environment to the last digit (docs/tmo.md).\n"
        "There learners have Stable-Baselines3's defaults; else those that come nearest\n"
        "to the bound (docs/tmo-learners.md). At the end stands a diagnosis of four "
        "ways\n"
        "to fail (docs/tmo-diagnosis.md).\n\n"
        "One seed fixes the split, the weights and every draw. A split may also be a\n"
        "file {\"train\": [ids], \"test\": [ids]}; of a file with several, FILE:KEY is\n"
        "one, and {seed} in KEY stands for the seed. Policies that are there already\n"
        "are kept where data, settings, seed and split are equal, so that an "
        "interrupted\n"
        "command can be given again; others are replaced with --force only.\n\n"
        "  m4a1 train study.m4a1 --learner a2c\n"
        "  m4a1 train study.m4a1 --constraint latency=20 --constraint privacy=2:5\n"
        "  m4a1 train study.m4a1 --costs profile.json --handling lagrangian\n"
        "  m4a1 train M4A1.json --as-published --seeds 0,1,2 \\\n"
        "      --split 'split.json:seed{seed}' --out policies\n"
        "  m4a1 train --learner dqn --print-config >dqn.json\n"
        "  m4a1 train study.m4a1 --config dqn.json --set learner.gamma=0.9\n",
    .options = options,
    .run = run,
};
