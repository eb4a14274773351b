/* cmd_train.c - m4a1 train: one policy a seed, in the published environment. */
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
#include "m4a1/cli/tmo_options.h"
#include "m4a1/tmo/a2c.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/policy.h"

static const struct cli_option options[] = {
    { "as-published", NULL, "train in the environment and estimator that TMO published" },
    { "learner", "NAME", "a2c (default, the only one so far)" },
    { "seeds", "N|LIST", "several seeds: 0,1,2 (default), or a count N for 0 .. N-1" },
    { "seed", "N", "one seed" },
    { "split", "FILE|NAME",
        "session ids, FILE:KEY of many, or a store's split (default: "
        "80/20 drawn per seed)" },
    { "steps", "N", "environment steps a seed, in rollouts of 5 (default 30000)" },
    { "tau", "N", "turns that an observation holds (default 5)" },
    { "k", "N", "neighbours of the estimator (default 5)" },
    { "resource-aware", NULL, "observe the remaining budgets; overdrawn steps earn 0" },
    { "device", "NAME", "local device (default \"Jetson TX2\")" },
    { "network", "NAME", "Wired (default), WiFi, 5G or 4G" },
    { "local", "NAME", "the local llm, where DATA has several" },
    { "cloud", "NAME", "the cloud llm, where DATA has several" },
    { "out", "DIR", "folder for the policies (default policies)" },
    { "force", NULL, "replace policies that are there" },
    { "json", NULL, "print the figures as JSON" },
    { NULL, NULL, NULL },
};

/* What all seeds share; the lock guards progress. */
struct training {
    const struct dataset *data;
    const struct recorded *rec;
    struct tmo_setup setup;
    struct a2c_settings learner;
    const char *folder;
    pthread_mutex_t lock;
    struct progress *progress;
};

/* One seed: its job reads nothing that another writes. */
struct seed_job {
    struct training *all;
    struct policy policy;
    size_t *train, *test; /* indices into rec */
    struct evaluation result;
    char *path;
    enum status status;
    struct error err;
};

static int report(void *arg, int64_t n_steps)
{
    struct training *all = arg;
    pthread_mutex_lock(&all->lock);
    progress_step(all->progress, n_steps, NULL);
    pthread_mutex_unlock(&all->lock);
    return cli_interrupted != 0;
}

static enum status train_in(
    struct seed_job *job, struct environment *env, struct error *err)
{
    const struct training *all = job->all;
    struct policy *policy = &job->policy;
    enum status s = environment_tabulate(env, err);
    if (!s)
        s = a2c_train(
            env, &policy->learner, policy->seed, report, job->all, &policy->network, err);
    if (!s)
        s = evaluation_run(env, job->test, policy->split.n_test, evaluation_greedy,
            &policy->network, &job->result, err);
    if (!s)
        s = policy_save(policy, all->data, job->path, err);
    return s;
}

static void run_seed(void *arg)
{
    struct seed_job *job = arg;
    const struct training *all = job->all;
    struct policy *policy = &job->policy;
    struct environment *env = NULL;
    enum status s = recorded_indices(
        all->rec, policy->split.train, policy->split.n_train, &job->train, &job->err);
    if (!s)
        s = recorded_indices(
            all->rec, policy->split.test, policy->split.n_test, &job->test, &job->err);
    if (!s)
        s = environment_new(all->rec, &policy->environment, job->train,
            policy->split.n_train, &env, &job->err);
    if (!s)
        s = train_in(job, env, &job->err);
    environment_free(env);
    job->status = s;
}

static enum status prepare_seed(
    struct cli *cli, struct seed_job *job, uint64_t seed, struct error *err)
{
    const struct training *all = job->all;
    struct policy *policy = &job->policy;
    policy->seed = seed;
    policy->learner = all->learner;
    policy->environment = all->setup.settings;
    policy->tau = all->setup.tau;
    policy->local = all->setup.local;
    policy->cloud = all->setup.cloud;
    enum status s = tmo_split(cli, all->data, seed, &policy->split, err);
    if (s)
        return s;
    job->path = text_format("%s/a2c%s-seed%" PRIu64 ".json", all->folder,
        policy->environment.resource_aware ? "-resource-aware" : "", seed);
    return job->path ? OK : error_nomem(err, 64);
}

/* All seeds, side by side where there are several; the first failure is reported. */
static enum status run_all(struct seed_job *jobs, size_t n, struct error *err)
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
                       ? E_INTERRUPTED
                       : error_prefix(err, "seed %" PRIu64 ": ", jobs[i].policy.seed);
        }
    return OK;
}

static double local_share(const struct seed_job *job)
{
    return (double)job->result.n_local / (double)job->result.n_turns;
}

static void print_results(const struct seed_job *jobs, size_t n, const char *data)
{
    struct table *t = table_new(6);
    table_row(t, "seed", "train", "test", "reward", "local choices", "policy");
    for (size_t i = 0; i < n; i++) {
        const struct seed_job *job = &jobs[i];
        char seed[24], train[24], test[24], reward[24], local[24];
        snprintf(seed, sizeof seed, "%" PRIu64, job->policy.seed);
        snprintf(train, sizeof train, "%zu", job->policy.split.n_train);
        snprintf(test, sizeof test, "%zu", job->policy.split.n_test);
        snprintf(reward, sizeof reward, "%.3f", job->result.reward);
        snprintf(local, sizeof local, "%.0f %%", 100 * local_share(job));
        table_row(t, seed, train, test, reward, local, job->path);
    }
    table_print(t);
    table_free(t);
    printf(
        "\ntrain, test: sessions. reward: mean over the test sessions inside the "
        "published\n"
        "simulator; it does not predict scores of real answers (docs/tmo.md). local "
        "choices:\nshare of the test turns that the policy leaves to the local llm.\n\n"
        "Next, beside Random, Local and Cloud:\n  m4a1 evaluate %s",
        data);
    for (size_t i = 0; i < n; i++)
        printf(" %s", jobs[i].path);
    putchar('\n');
}

static enum status print_json(
    const struct training *all, const struct seed_job *jobs, size_t n, struct error *err)
{
    struct json_keeper k = { 1 };
    struct json *root = json_keep(&k, json_new_object());
    json_keep(&k, json_set_text(root, "data", all->data->source));
    json_keep(&k, json_set_text(root, "digest", all->data->digest));
    json_keep(&k, json_set_bool(root, "simulated", all->data->simulated));
    json_keep(&k, json_set_text(root, "environment", "as-published"));
    json_keep(&k, json_set_text(root, "learner", "a2c"));
    json_keep(&k, json_set_int(root, "steps", all->learner.steps));
    struct json *list = json_keep(&k, json_set_array(root, "policies"));
    for (size_t i = 0; i < n; i++) {
        const struct policy *policy = &jobs[i].policy;
        struct json *o = json_keep(&k, json_add_object(list));
        json_keep(&k, json_set_int(o, "seed", (int64_t)policy->seed));
        json_keep(&k, json_set_text(o, "path", jobs[i].path));
        json_keep_count(&k, o, "train_sessions", policy->split.n_train);
        json_keep_count(&k, o, "test_sessions", policy->split.n_test);
        json_keep_figure(&k, o, "reward", jobs[i].result.reward);
        json_keep_figure(&k, o, "response", jobs[i].result.response);
        json_keep_figure(&k, o, "association", jobs[i].result.association);
        json_keep_figure(&k, o, "latency_s", jobs[i].result.latency_s);
        json_keep_figure(&k, o, "usage_usd", jobs[i].result.usage_usd);
        json_keep_figure(&k, o, "local_choices", local_share(&jobs[i]));
    }
    enum status s = k.ok ? cli_print_json(root, err) : error_nomem(err, 64 * n);
    json_free(root);
    return s;
}

/* Before an hour of training, not behind it. */
static enum status check_free(
    struct cli *cli, const struct seed_job *jobs, size_t n, struct error *err)
{
    if (cli_flag(cli, "force"))
        return OK;
    for (size_t i = 0; i < n; i++)
        if (file_exists(jobs[i].path))
            return error_set(err, E_ARG,
                "%s is there already; --force replaces policies, --out DIR writes "
                "elsewhere. Nothing was trained",
                jobs[i].path);
    return OK;
}

static enum status train_all(struct cli *cli, struct training *all, struct seed_job *jobs,
    size_t n, struct error *err)
{
    enum status s = folder_make(all->folder, err);
    if (s)
        return s;
    all->progress = cli_progress(cli, "training a2c", (int64_t)n * all->learner.steps);
    s = run_all(jobs, n, err);
    progress_free(all->progress);
    if (!s && cli_flag(cli, "json"))
        s = print_json(all, jobs, n, err);
    else if (!s)
        print_results(jobs, n, cli_arg(cli, 0));
    return s;
}

/* Everything that can be refused is, before the data are spoken of and training begins. */
static enum status prepare_and_train(struct cli *cli, struct training *all,
    const uint64_t *seeds, size_t n, struct error *err)
{
    struct recorded *rec = NULL;
    struct seed_job *jobs = calloc(n, sizeof *jobs);
    enum status s = jobs ? OK : error_nomem(err, n * sizeof *jobs);
    if (!s)
        s = recorded_build(
            all->data, all->setup.local, all->setup.cloud, all->setup.tau, &rec, err);
    for (size_t i = 0; i < n && !s; i++) {
        jobs[i].all = all;
        s = prepare_seed(cli, &jobs[i], seeds[i], err);
    }
    if (!s)
        s = check_free(cli, jobs, n, err);
    if (!s) {
        tmo_setup_warn(rec);
        all->rec = rec;
        s = train_all(cli, all, jobs, n, err);
    }
    for (size_t i = 0; jobs && i < n; i++) {
        policy_release(&jobs[i].policy);
        free(jobs[i].train);
        free(jobs[i].test);
        free(jobs[i].path);
    }
    free(jobs);
    recorded_free(rec);
    return s;
}

static enum status check_usage(struct cli *cli, struct error *err)
{
    const char *learner = cli_value(cli, "learner");
    if (!cli_flag(cli, "as-published"))
        return cli_usage(cli, err,
            "only the published environment is there so far: say --as-published, and "
            "read in docs/tmo.md what its figures mean");
    if (learner && !text_equal(learner, "a2c"))
        return cli_usage(
            cli, err, "--learner %s: a2c is the only learner so far", learner);
    return OK;
}

static enum status read_steps(
    struct cli *cli, struct a2c_settings *learner, struct error *err)
{
    enum status s =
        cli_int(cli, "steps", learner->steps, 1, INT64_C(1) << 40, &learner->steps, err);
    int64_t whole = a2c_whole_steps(learner);
    if (!s && whole != learner->steps)
        fprintf(stderr,
            "--steps %" PRId64 " are rounded up to %" PRId64
            ", whole rollouts of %zu steps.\n",
            learner->steps, whole, learner->n_rollout);
    learner->steps = whole;
    return s;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct training all = { .lock = PTHREAD_MUTEX_INITIALIZER,
        .learner = a2c_published(),
        .folder = cli_value(cli, "out") ? cli_value(cli, "out") : "policies" };
    struct dataset *data = NULL;
    uint64_t *seeds = NULL;
    size_t n_seeds;
    cli_catch_interrupts();
    enum status s = tmo_seeds(cli, &seeds, &n_seeds, err);
    if (!s)
        s = check_usage(cli, err);
    if (!s)
        s = read_steps(cli, &all.learner, err);
    if (!s)
        s = tmo_data(cli, &data, err);
    all.data = data;
    if (!s)
        s = tmo_setup_read(cli, data, &all.setup, err);
    if (!s)
        s = prepare_and_train(cli, &all, seeds, n_seeds, err);
    free(seeds);
    dataset_free(data);
    pthread_mutex_destroy(&all.lock);
    return s;
}

const struct verb verb_train = {
    .name = "train",
    .stage = STAGE_TRAIN,
    .args = "DATA",
    .min_args = 1,
    .max_args = 1,
    .summary = "train a policy that chooses LLM and views",
    .help =
        "Trains one policy a seed on DATA (a store, an export folder or the authors'\n"
        "JSON) and writes each as a readable JSON file. --as-published takes TMO's own\n"
        "environment: recorded sessions, a k-NN estimate of the response score fitted\n"
        "on the training sessions, and profiled costs of device and network. The\n"
        "learner is A2C with Stable-Baselines3's defaults. What its figures mean, and\n"
        "what is wrong with them, stands in docs/tmo.md.\n\n"
        "One seed fixes the split, the weights and every draw. A split may also be a\n"
        "file {\"train\": [ids], \"test\": [ids]}; of a file with several, FILE:KEY is\n"
        "one, and {seed} in KEY stands for the seed. Policies that are there already "
        "are\n"
        "replaced with --force only.\n\n"
        "  m4a1 train study.m4a1 --as-published\n"
        "  m4a1 train M4A1.json --as-published --seeds 0,1,2 \\\n"
        "      --split 'split.json:seed{seed}' --out policies\n"
        "  m4a1 train M4A1.json --as-published --resource-aware --seeds 5 --tau 7\n",
    .options = options,
    .run = run,
};
