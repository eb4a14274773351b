/* cmd_collect.c - m4a1 collect: ask what the plan still lacks. */
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/collecting.h"
#include "m4a1/cli/rehearse.h"

static const struct cli_option options[] = {
    COLLECTING_OPTIONS,
    REHEARSE_OPTIONS,
    { "limit", "N", "stop after N attempts" },
    { "purpose", "P",
        "only calls of this purpose, such as path or judge (default: all but judges, "
        "which "
        "are annotate's)" },
    { "timing", "T",
        "loaded (default): calls at once; isolated: one call at a time over all llms" },
    { "fresh-connections", NULL, "each call over a new connection" },
    { "shard", "I/N", "only the sessions of shard I of N, for N copies of the store" },
    { "json", NULL, "the summary as JSON" },
    { NULL, NULL, NULL },
};

static enum status read_purpose(
    struct cli *cli, struct engine_options *o, const char **slot, struct error *err)
{
    static const char *const purposes[] = { "path", "fan_out", "reference", "judge",
        "pairwise", "check", "agent" };
    static const char *const without_judges[] = { "path", "fan_out", "reference",
        "check" };
    *slot = cli_value(cli, "purpose");
    if (!*slot) {
        o->purposes = without_judges;
        o->n_purposes = COUNT_OF(without_judges);
        return OK;
    }
    for (size_t i = 0; i < COUNT_OF(purposes); i++) {
        if (text_equal(purposes[i], *slot)) {
            o->purposes = slot;
            o->n_purposes = 1;
            return OK;
        }
    }
    const char *nearest = text_nearest(*slot, purposes, COUNT_OF(purposes));
    return cli_usage(cli, err, "--purpose: there is no purpose \"%s\"%s%s%s", *slot,
        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static enum status read_timing(
    struct cli *cli, struct engine_options *o, struct error *err)
{
    const char *timing = cli_value(cli, "timing");
    o->fresh_connections = cli_flag(cli, "fresh-connections");
    if (timing && !text_equal(timing, "loaded") && !text_equal(timing, "isolated"))
        return cli_usage(cli, err, "--timing is loaded or isolated, not \"%s\"", timing);
    o->timing = text_equal(timing, "isolated") ? ENGINE_ISOLATED : ENGINE_LOADED;
    return OK;
}

static enum status read_shard(
    struct cli *cli, struct engine_options *o, struct error *err)
{
    const char *shard = cli_value(cli, "shard"),
               *slash = shard ? strchr(shard, '/') : NULL;
    int64_t i = 0, n = 0;
    if (!shard)
        return OK;
    char *first = slash ? text_copy_n(shard, (size_t)(slash - shard)) : NULL;
    int ok = first && text_to_int(first, "", 1, 10000, &i, NULL) == OK &&
             text_to_int(slash + 1, "", 1, 10000, &n, NULL) == OK && i <= n;
    free(first);
    if (!ok)
        return cli_usage(cli, err,
            "--shard wants the shard's number and how many there are, like 2/4, not "
            "\"%s\"",
            shard);
    o->shard = (int)i;
    o->n_shards = (int)n;
    return OK;
}

static enum status print_summary(struct cli *cli, struct rehearsal *rehearsal,
    const struct engine_result *r, const struct engine_options *o, struct error *err)
{
    if (rehearsal)
        return rehearse_print(cli, rehearsal, r, err);
    if (!cli_flag(cli, "json")) {
        collecting_print(r, o, "collect", cli_arg(cli, 0));
        return OK;
    }
    struct json *j = json_new_object();
    enum status s = collecting_json(j, r, err);
    if (!s)
        s = cli_print_json(j, err);
    json_free(j);
    return s;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct engine_options o;
    struct engine_result r = { 0 };
    struct store *store = NULL;
    const char *purpose = NULL;
    struct rehearsal *rehearsal = NULL;
    enum status s = rehearse_open(cli, &rehearsal, &store, err);
    if (!s)
        s = collecting_options(cli, store, &o, err);
    if (!s)
        s = cli_int(cli, "limit", -1, 1, INT64_MAX, &o.limit, err);
    if (!s)
        s = read_purpose(cli, &o, &purpose, err);
    if (!s)
        s = read_timing(cli, &o, err);
    if (!s)
        s = read_shard(cli, &o, err);
    if (s) {
        store_close(store);
        return rehearse_close(rehearsal, s, err);
    }
    rehearse_options(rehearsal, &o);
    o.progress = cli_progress(cli, "collecting answers", 0);
    s = engine_run(store, &o, &r, err);
    progress_free(o.progress);
    store_close(store);
    if (s == OK || s == E_PARTIAL || s == E_INTERRUPTED) {
        struct error why = ERROR_INIT;
        enum status printed = print_summary(cli, rehearsal, &r, &o, &why);
        if (printed)
            s = error_set(err, printed, "%s", why.msg);
    }
    engine_result_release(&r);
    return rehearse_close(rehearsal, s, err);
}

const struct verb verb_collect = {
    .name = "collect",
    .stage = STAGE_COLLECT,
    .args = "STORE",
    .min_args = 1,
    .max_args = 1,
    .summary = "ask the planned calls that have no answer yet",
    .help =
        "Sends every planned call that has no answer yet and keeps what comes back: the\n"
        "answer, tokens, cost, times, and each failed attempt with its error. It may be\n"
        "stopped or killed at any moment: run it again and it goes on; what is answered\n"
        "is never asked twice. Ctrl-C finishes what is in flight, a second one does "
        "not.\n"
        "\n"
        "Keys come from the environment variables that the recipe names. A spending cap\n"
        "counts the whole store and is never passed: the most that a call can cost is\n"
        "reserved before it is sent. Every llm needs a price, unless you say otherwise.\n"
        "\n"
        "  m4a1 collect study.m4a1 --max-usd 20\n"
        "  m4a1 collect study.m4a1 --limit 5           a first look at five answers\n"
        "  m4a1 collect study.m4a1 --for 8h            done before the morning\n"
        "  m4a1 collect study.m4a1 --timing isolated --limit 200   latencies without "
        "load\n"
        "  m4a1 collect study.m4a1 --rehearse          the same with simulated answers,\n"
        "                                    in a copy: calls, tokens, dollars, hours\n"
        "  m4a1 collect study.m4a1 --simulator http://127.0.0.1:8089   into the store,\n"
        "                                    from m4a1 simulate; its rows say simulated\n"
        "\n"
        "Exit status: 0 all calls have an answer, 3 some have none, 130 interrupted.\n",
    .options = options,
    .run = run,
};
