/* cmd_simulate.c - run the simulated LLM server until it is asked to stop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/terminal.h"
#include "m4a1/simulate/sim_fault.h"
#include "m4a1/simulate/simulate.h"

#define POLL_NS 50000000 /* how soon a signal is noticed */
#define PROBLEMS_MAX (1u << 20)

static enum status read_options(
    struct cli *cli, struct simulate_options *options, struct error *err)
{
    const char *kinds = cli_value(cli, "faults-kind");
    struct error why = ERROR_INIT;
    int64_t port, seed;
    enum status status = cli_int(cli, "port", 8089, 0, 65535, &port, err);
    if (status == OK)
        status = cli_int(cli, "seed", 1, 0, INT64_MAX, &seed, err);
    if (status == OK)
        status = cli_double(cli, "time-scale", 1, 0, 1000, &options->time_scale, err);
    if (status == OK)
        status = cli_double(cli, "faults", 0, 0, 1, &options->fault_probability, err);
    if (status == OK && kinds &&
        sim_fault_kinds(kinds, &options->fault_kinds, &why) != OK)
        return cli_usage(cli, err, "--faults-kind: %s", why.msg);
    if (status != OK)
        return status;
    options->host = cli_value(cli, "host");
    options->port = (uint16_t)port;
    options->seed = (uint64_t)seed;
    return OK;
}

static enum status load_recipe(struct cli *cli, struct recipe **recipe, struct error *err)
{
    const char *path = cli_value(cli, "recipe");
    struct buffer problems;
    buffer_init(&problems, PROBLEMS_MAX);
    enum status status = recipe_load(path ? path : "m4a1", recipe, &problems, err);
    if (problems.len)
        terminal_print(stderr, buffer_str(&problems));
    buffer_release(&problems);
    return status;
}

static enum status write_port(struct cli *cli, unsigned port, struct error *err)
{
    const char *path = cli_value(cli, "port-file");
    char text[16];
    int len = snprintf(text, sizeof text, "%u\n", port);
    return path ? file_write(path, text, (size_t)len, err) : OK;
}

static void print_summary(struct simulator *sim)
{
    struct json *stats;
    if (simulate_stats(sim, &stats, NULL) != OK)
        return;
    const struct json *requests = json_get(stats, "requests");
    fprintf(stderr,
        "simulator: stopped; %lld requests seen (%lld distinct), %lld answered, %lld "
        "faulted, %lld invalid, %lld abandoned\n",
        (long long)json_int(json_get(requests, "seen"), 0),
        (long long)json_int(json_get(requests, "distinct"), 0),
        (long long)json_int(json_get(requests, "answered"), 0),
        (long long)json_int(json_get(requests, "faulted"), 0),
        (long long)json_int(json_get(requests, "invalid"), 0),
        (long long)json_int(json_get(requests, "abandoned"), 0));
    json_free(stats);
}

static enum status run(struct cli *cli, struct error *err)
{
    struct simulate_options options = { 0 };
    struct recipe *recipe = NULL;
    struct simulator *sim = NULL;
    enum status status = read_options(cli, &options, err);
    if (status == OK)
        status = load_recipe(cli, &recipe, err);
    if (status != OK)
        goto out;
    options.recipe = recipe;
    simulate_raise_limit();
    cli_catch_interrupts();
    status = simulate_start(&options, &sim, err);
    if (status != OK)
        goto out;
    printf("simulator ready at %s (recipe %s, seed %llu, faults %g, time scale %g)\n",
        simulate_url(sim), recipe->name, (unsigned long long)options.seed,
        options.fault_probability, options.time_scale);
    fflush(stdout);
    status = write_port(cli, simulate_port(sim), err);
    while (status == OK && !cli_interrupted)
        clock_sleep_ns(POLL_NS);
    if (status == OK && !cli_flag(cli, "quiet"))
        print_summary(sim);
out:
    simulate_stop(sim);
    recipe_free(recipe);
    return status;
}

static const struct cli_option options[] = {
    { "recipe", "FILE",
        "serve the models of this recipe (default: m4a1, the built-in one)" },
    { "port", "N", "listen on this port; 0 = a free one (default 8089)" },
    { "host", "ADDR", "listen on this address (default 127.0.0.1, this machine only)" },
    { "seed", "N", "another seed gives other answers (default 1)" },
    { "time-scale", "X", "all latencies times X; 0 answers at once (default 1)" },
    { "faults", "P", "probability that a request fails, 0 to 1 (default 0)" },
    { "faults-kind", "LIST",
        "kinds of faults, like quota,cut (default: those that a retry cures)" },
    { "port-file", "FILE", "write the port there once the server listens" },
    { NULL, NULL, NULL },
};

const struct verb verb_simulate = {
    .name = "simulate",
    .stage = STAGE_COLLECT,
    .args = "",
    .min_args = 0,
    .max_args = 0,
    .summary = "serve simulated LLMs, to try everything without keys or cost",
    .help =
        "Starts an HTTP server that answers for every model that the recipe names, in "
        "the\n"
        "protocols of the collectors: OpenAI Chat Completions and Responses, Azure "
        "OpenAI,\n"
        "Anthropic Messages, Gemini, Ollama and Bedrock Converse. It runs until Ctrl-C "
        "or\n"
        "SIGTERM. Point the llms' \"url\" of a recipe at it, or collect --simulator, to\n"
        "rehearse a collection, or to test a client.\n"
        "\n"
        "Answers are made up, short, and carry their quality in the text; quality,\n"
        "refusals, tokens and latency depend on the llm's role, the task and the views "
        "in\n"
        "the request. The judge scores by reading these qualities. The same request "
        "gets\n"
        "the same answer. With --faults, requests fail in the ways of real servers "
        "(429,\n"
        "500, 503, connections closed early, broken JSON, errors inside a 200), and a\n"
        "retry goes through; docs/simulator.md lists all kinds. Every answer is marked "
        "as\n"
        "simulated, and so is every row made from it.\n"
        "\n"
        "GET /simulator/stats counts what was asked and answered. The API key "
        "\"invalid\"\n"
        "is refused; any other, or none, is accepted.\n"
        "\n"
        "Examples\n"
        "  m4a1 simulate --port 8089 --time-scale 0.1\n"
        "  m4a1 simulate --recipe my.jsonc --faults 0.2 --port 0 --port-file port.txt\n"
        "  m4a1 simulate --faults 0.1 --faults-kind no_usage,bad_utf8\n"
        "  curl -s http://127.0.0.1:8089/simulator/stats\n",
    .options = options,
    .run = run,
};
