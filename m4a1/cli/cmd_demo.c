/* cmd_demo.c - m4a1 demo: the whole main job on the simulator, as a tutorial.
 *
 * Every step is the program itself, run with the arguments that are printed, so a
 * reader can repeat each line by hand.  Only the simulator runs inside this process:
 * its own count of requests is what the collector's books are held against. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/simulate/scene_drawing.h"
#include "m4a1/simulate/simulate.h"
#include "schema/query.h"

#define STORE "demo.m4a1"
#define MAX_ARGS 24
#define POLL_NS 10000000
#define N_SCENES 10
#define IN_FLIGHT "16"
#define TIME_SCALE 0.02 /* of the simulator's latencies, so that the demo is short */
#define FAULTS 0.03

extern char **environ;

static const struct cli_option options[] = {
    { "scenes", "DIR", "only draw the scene set into DIR and stop" },
    { "n-scenes", "N", "how many scenes are drawn (default 10)" },
    { NULL, NULL, NULL },
};

struct demo {
    struct simulator *simulator;
    const char *url;
    int step;
};

/* What the store holds, counted by SQL. */
struct books {
    int64_t calls, answered, responses, doubled, failed;
    int64_t attempts, ok, attempts_failed, unknown, unreached;
};

static void say(struct demo *d, const char *text)
{
    printf("\n%d. %s\n", ++d->step, text);
    fflush(stdout);
}

static enum status start(const char *const *argv, pid_t *pid, struct error *err)
{
    printf("\n$ m4a1");
    for (size_t i = 1; argv[i]; i++)
        printf(strpbrk(argv[i], " *") ? " '%s'" : " %s", argv[i]);
    printf("\n");
    fflush(stdout);
    int code = posix_spawn(
        pid, "/proc/self/exe", NULL, NULL, (char *const *)(uintptr_t)argv, environ);
    errno = code;
    return code ? error_errno(err, "cannot start m4a1 %s", argv[1]) : OK;
}

/* The exit status of a child; an interruption is passed on to it. */
static int finish(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        if (cli_interrupted)
            kill(pid, SIGTERM);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Run m4a1 with the arguments up to NULL; anything but exit status 0 ends the demo. */
static enum status run(struct error *err, ...)
{
    const char *argv[MAX_ARGS] = { "m4a1" };
    va_list args;
    va_start(args, err);
    for (size_t n = 1; n + 1 < MAX_ARGS && (argv[n] = va_arg(args, const char *)); n++)
        continue;
    va_end(args);
    pid_t pid;
    enum status s = start(argv, &pid, err);
    if (s)
        return s;
    int status = finish(pid);
    if (cli_interrupted)
        return error_set(err, E_INTERRUPTED, "interrupted");
    return status ? error_set(err, E_PARTIAL, "m4a1 %s ended with exit status %d",
                        argv[1], status)
                  : OK;
}

static enum status count(
    struct store *store, const char *sql, int64_t *out, struct error *err)
{
    return store_int(store, 0, out, err, sql, "");
}

static enum status read_books(struct books *b, struct error *err)
{
    struct store *store;
    enum status s = store_open(STORE, STORE_READ, &store, err);
    if (s)
        return s;
    const struct {
        int64_t *out;
        const char *sql;
    } questions[] = {
        { &b->calls, "SELECT count(*) FROM call" },
        { &b->answered, "SELECT count(DISTINCT call_id) FROM response" },
        { &b->responses, "SELECT count(*) FROM response" },
        { &b->doubled, "SELECT count(*) FROM (SELECT 1 FROM response GROUP BY call_id "
                       "HAVING count(*) > 1)" },
        { &b->failed,
            "SELECT count(*) FROM call_state WHERE state IN ('failed', 'blocked')" },
        { &b->attempts, "SELECT count(*) FROM attempt" },
        { &b->ok, "SELECT count(*) FROM attempt WHERE status = 'ok'" },
        { &b->attempts_failed, "SELECT count(*) FROM attempt WHERE status = 'failed'" },
        { &b->unknown, "SELECT count(*) FROM attempt WHERE status = 'unknown'" },
        { &b->unreached, "SELECT count(*) FROM attempt WHERE error_class IN "
                         "('connect', 'stale_connection')" },
    };
    for (size_t i = 0; i < COUNT_OF(questions) && !s; i++)
        s = count(store, questions[i].sql, questions[i].out, err);
    store_close(store);
    return s;
}

/* Start collecting, and kill it without warning once half of the calls are answered. */
static enum status collect_and_kill(struct demo *d, struct error *err)
{
    const char *argv[] = { "m4a1", "collect", STORE, "--simulator", d->url, "--in-flight",
        IN_FLIGHT, "--max-usd", "20", "--quiet", NULL };
    pid_t pid;
    enum status s = start(argv, &pid, err);
    struct books books = { 0 };
    int ended = 0, status;
    while (!s && !ended && books.answered * 2 < books.calls + !books.calls) {
        clock_sleep_ns(POLL_NS);
        s = read_books(&books, err);
        ended = waitpid(pid, &status, WNOHANG) == pid;
        if (!s && cli_interrupted)
            s = error_set(err, E_INTERRUPTED, "interrupted");
    }
    if (!ended) {
        kill(pid, SIGKILL);
        finish(pid);
    }
    if (!s && ended)
        s = error_set(err, E_PARTIAL, "the collector ended before it could be killed");
    if (!s)
        printf("kill -9: the collector is gone, %lld of %lld calls are answered.\n",
            (long long)books.answered, (long long)books.calls);
    return s;
}

/* Hold the store's books against the server's own count. */
static enum status compare_books(struct demo *d, struct error *err)
{
    struct books b = { 0 };
    struct json *stats = NULL;
    enum status s = read_books(&b, err);
    if (!s)
        s = simulate_stats(d->simulator, &stats, err);
    if (s)
        return s;
    int64_t seen = json_int(json_get(json_get(stats, "requests"), "seen"), -1);
    json_free(stats);
    printf("\n"
           "planned calls                       %5lld\n"
           "calls with an answer                %5lld\n"
           "responses in the store              %5lld   calls with two: %lld\n"
           "attempts in the store               %5lld\n"
           "  = answered                        %5lld\n"
           "  + failed, recorded and retried    %5lld\n"
           "  + in flight at the kill           %5lld   at most %s; asked again\n"
           "requests that the server counted    %5lld\n",
        (long long)b.calls, (long long)b.answered, (long long)b.responses,
        (long long)b.doubled, (long long)b.attempts, (long long)b.ok,
        (long long)b.attempts_failed, (long long)b.unknown, IN_FLIGHT, (long long)seen);
    /* A request that was under way at the kill, or on a connection that was dead, may or
     * may not have reached the server. */
    int64_t certain = b.ok + b.attempts_failed - b.unreached;
    if (b.doubled || b.responses != b.answered || b.answered + b.failed != b.calls)
        return error_set(err, E_DATA, "calls were lost or stored twice");
    if (seen < certain || seen > b.attempts || b.unknown > strtoll(IN_FLIGHT, NULL, 10))
        return error_set(err, E_DATA,
            "the server counted %lld requests, the store %lld to %lld", (long long)seen,
            (long long)certain, (long long)b.attempts);
    printf(
        "Nothing lost, nothing stored twice, and only what was in flight asked again.\n");
    return OK;
}

static enum status collect(struct demo *d, struct error *err)
{
    say(d,
        "Send the calls. Each attempt is written down before its request leaves, so the\n"
        "   collector may be killed at any moment. Here it is, with SIGKILL, halfway:");
    enum status s = collect_and_kill(d, err);
    if (s)
        return s;
    say(d, "The same command goes on where it stopped:");
    s = run(err, "collect", STORE, "--simulator", d->url, "--in-flight", IN_FLIGHT,
        "--max-usd", "20", NULL);
    return s ? s : compare_books(d, err);
}

static enum status set_up(struct demo *d, struct error *err)
{
    say(d, "A small scene set: ten kitchens, each seen by three cameras. Your own scenes "
           "are\n"
           "   folders like these, with pictures or videos.");
    enum status s = run(err, "demo", "--scenes", "scenes", "--quiet", NULL);
    if (s)
        return s;
    say(d, "A store from the M4A1 recipe: three views, four tasks, twenty prompts, a "
           "local, a\n"
           "   cloud, a reference and a judge LLM. `m4a1 init --print-recipe` shows it.");
    s = run(err, "init", STORE, NULL);
    if (!s)
        s = run(
            err, "ingest", STORE, "scenes", "--preview", "scenes.jpg", "--quiet", NULL);
    if (s)
        return s;
    say(d, "Sessions of two to five turns, each call written down before any is sent.");
    return run(err, "plan", STORE, "--sessions", "60", "--fan-out", "1", "--quiet", NULL);
}

static enum status curate(struct demo *d, struct error *err)
{
    say(d,
        "Score: mark refusals, let the judge compare each answer with the reference's.");
    enum status s =
        run(err, "annotate", STORE, "--simulator", d->url, "--max-usd", "20", NULL);
    if (s)
        return s;
    say(d, "What was collected, what it took, what it is worth.");
    s = run(err, "status", STORE, NULL);
    if (!s)
        s = run(err, "stats", "latency", STORE, NULL);
    if (!s)
        s = run(err, "stats", "scores", STORE, NULL);
    if (s)
        return s;
    say(d, "Prove the store's invariants, freeze a split, export.");
    s = run(err, "check", STORE, "--quiet", NULL);
    if (!s)
        s = run(err, "split", STORE, "main", "--by", "scene", NULL);
    return s ? s : run(err, "export", STORE, "dataset", NULL);
}

static enum status train(struct demo *d, struct error *err)
{
    say(d, "Train the reference policy on the export (three seeds), and hold it against\n"
           "   random, local-only and cloud-only choices.");
    enum status s = run(err, "train", "dataset", "--as-published", "--split", "main",
        "--seeds", "3", "--out", "policies", "--quiet", NULL);
    return s ? s
             : run(err, "evaluate", "dataset", "policies/a2c-seed0.json",
                   "policies/a2c-seed1.json", "policies/a2c-seed2.json", NULL);
}

static enum status run_demo(struct demo *d, struct error *err)
{
    struct recipe *recipe;
    enum status s = recipe_load("m4a1", &recipe, NULL, err);
    if (s)
        return s;
    struct simulate_options simulate = {
        .recipe = recipe, .seed = 1, .time_scale = TIME_SCALE, .fault_probability = FAULTS
    };
    s = set_up(d, err);
    if (!s) {
        say(d, "No LLM at hand: a simulated server speaks the real protocol over real "
               "HTTP,\n"
               "   and now and then fails on purpose. (It runs inside this demo; by hand "
               "it is:)");
        s = simulate_start(&simulate, &d->simulator, err);
    }
    if (!s) {
        d->url = simulate_url(d->simulator);
        printf("\n$ m4a1 simulate --seed 1 --time-scale %g --faults %g --port %u &\n%s\n",
            TIME_SCALE, FAULTS, (unsigned)simulate_port(d->simulator), d->url);
        s = collect(d, err);
    }
    if (!s)
        s = curate(d, err);
    if (!s)
        s = train(d, err);
    simulate_stop(d->simulator);
    recipe_free(recipe);
    return s;
}

/* Work in folder, or in a new one under /tmp; paths in the tutorial are then short. */
static enum status enter_folder(
    const char *folder, char *path, size_t size, struct error *err)
{
    char fresh[] = "/tmp/m4a1-demo-XXXXXX";
    if (!folder) {
        folder = mkdtemp(fresh);
        if (!folder)
            return error_errno(err, "cannot create a folder under /tmp");
    }
    enum status s = folder_make(folder, err);
    if (!s && chdir(folder) != 0)
        s = error_errno(err, "cannot work in %s", folder);
    if (!s && file_exists(STORE))
        s = error_set(
            err, E_ARG, "%s holds a %s already: name another folder", folder, STORE);
    if (!s && !getcwd(path, size))
        s = error_errno(err, "cannot tell where %s is", folder);
    return s;
}

static enum status draw_scenes(struct cli *cli, const char *folder, struct error *err)
{
    int64_t n;
    enum status s = cli_int(cli, "n-scenes", N_SCENES, 1, 99, &n, err);
    if (s)
        return s;
    struct progress *progress = cli_progress(cli, "drawing scenes", n);
    s = scenes_draw(folder, (int)n, 1, progress, err);
    progress_free(progress);
    if (!s)
        printf("%lld scenes of three views in %s\n", (long long)n, folder);
    return s;
}

static enum status run_verb(struct cli *cli, struct error *err)
{
    const char *scenes = cli_value(cli, "scenes");
    if (scenes)
        return draw_scenes(cli, scenes, err);
    struct demo demo = { 0 };
    char path[4096];
    int64_t started_ns = clock_mono_ns();
    enum status s = enter_folder(cli_arg(cli, 0), path, sizeof path, err);
    if (s)
        return s;
    cli_catch_interrupts();
    printf("Everything is simulated: no key, no cost, no outside server. In %s:\n", path);
    s = run_demo(&demo, err);
    if (s)
        return error_prefix(err, "in %s: ", path);
    char took[32];
    text_duration((double)(clock_mono_ns() - started_ns) / 1e9, took, sizeof took);
    printf(
        "\nDone in %s. In %s you find\n"
        "  demo.m4a1    the store: one SQLite file, the record of everything\n"
        "  scenes.jpg   a contact sheet of the scenes\n"
        "  dataset/     the export, with a manifest and the frozen split\n"
        "  policies/    the trained policies, one readable file a seed\n"
        "Next: `m4a1 init --print-recipe > my.jsonc`, put in your LLMs, and begin with\n"
        "your own scenes. README.md has the tour.\n",
        took, path);
    return OK;
}

const struct verb verb_demo = {
    .name = "demo",
    .stage = STAGE_START,
    .args = "[DIR]",
    .min_args = 0,
    .max_args = 1,
    .summary = "run the whole flow on a simulated LLM server, as a tutorial",
    .help = "Runs the main job end to end and prints each command: a store from the M4A1 "
            "recipe,\n"
            "scenes, a plan, collecting (killed halfway, to show that nothing is lost), "
            "scores,\n"
            "a frozen split, an export, a trained policy and its evaluation. It needs no "
            "key and\n"
            "costs nothing. Works in DIR, or in a new folder under /tmp.\n\n"
            "  m4a1 demo                    the tutorial\n"
            "  m4a1 demo --scenes scenes    only draw the scene set\n",
    .options = options,
    .run = run_verb,
};
