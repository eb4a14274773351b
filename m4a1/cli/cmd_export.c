/* cmd_export.c - write a store's content for others. */
#include <stdio.h>

#include "export/export_folder.h"
#include "export/json_keep.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "schema/store.h"

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void report(const char *path, const struct export_counts *c)
{
    char size[32];
    printf("%s: %zu session%s, %zu turn%s, %zu fan-out answer%s, %zu split%s, %s\n", path,
        c->sessions, plural(c->sessions), c->turns, plural(c->turns), c->fan_out,
        plural(c->fan_out), c->splits, plural(c->splits),
        text_bytes((double)c->bytes, size, sizeof size));
    if (c->simulated)
        printf("%zu answers are simulated, and marked so\n", c->simulated);
    if (c->left.turns_unasked || c->left.turns_unscored || c->left.fan_out)
        printf("left out: %zu turns without an answer, %zu without a score, %zu behind "
               "those, %zu fan-out answers; sessions without any turn left: %zu "
               "(--include-incomplete keeps them)\n",
            c->left.turns_unasked, c->left.turns_unscored, c->left.turns_behind,
            c->left.fan_out, c->left.sessions);
}

static enum status print_json(
    const char *path, const struct export_counts *c, struct error *err)
{
    struct json_keeper k = { 1 };
    struct json *root = json_keep(&k, json_new_object());
    json_keep(&k, json_set_text(root, "out", path));
    json_keep_count(&k, root, "sessions", c->sessions);
    json_keep_count(&k, root, "turns", c->turns);
    json_keep_count(&k, root, "fan_out", c->fan_out);
    json_keep_count(&k, root, "simulated", c->simulated);
    json_keep_count(&k, root, "splits", c->splits);
    json_keep_count(&k, root, "bytes", c->bytes);
    struct json *left = json_keep(&k, json_set_object(root, "left_out"));
    json_keep_count(&k, left, "sessions", c->left.sessions);
    json_keep_count(&k, left, "turns_without_an_answer", c->left.turns_unasked);
    json_keep_count(&k, left, "turns_without_a_score", c->left.turns_unscored);
    json_keep_count(&k, left, "turns_behind_those", c->left.turns_behind);
    json_keep_count(&k, left, "fan_out", c->left.fan_out);
    enum status s = k.ok ? cli_print_json(root, err) : error_nomem(err, 64);
    json_free(root);
    return s;
}

static enum status run(struct cli *cli, struct error *err)
{
    const char *format = cli_value(cli, "format");
    if (format && !text_equal(format, "m4a1-json"))
        return cli_usage(cli, err, "--format %s: the formats are: m4a1-json", format);
    struct export_options options = {
        .split = cli_value(cli, "split"),
        .association = cli_value(cli, "association"),
        .include_incomplete = cli_flag(cli, "include-incomplete"),
        .force = cli_flag(cli, "force"),
    };
    struct store *store;
    struct export_counts counts;
    enum status s = store_open(cli_arg(cli, 0), STORE_READ, &store, err);
    if (!s)
        s = export_store(store, cli_arg(cli, 1), &options, &counts, err);
    store_close(store);
    if (!s && cli_flag(cli, "json"))
        s = print_json(cli_arg(cli, 1), &counts, err);
    else if (!s && !cli_flag(cli, "quiet"))
        report(cli_arg(cli, 1), &counts);
    return s;
}

static const struct cli_option options[] = {
    { "format", "NAME", "m4a1-json, the authors' format (default)" },
    { "split", "NAME", "only the sessions of this frozen split (default: all)" },
    { "association", "MODEL", "whose associations (default: those that came last)" },
    { "include-incomplete", NULL, "also turns without an answer or a score, as null" },
    { "force", NULL, "replace an export that stands at OUT" },
    { "json", NULL, "print the counts as JSON" },
    { NULL, NULL, NULL },
};

const struct verb verb_export = {
    .name = "export",
    .stage = STAGE_CURATE,
    .args = "STORE OUT",
    .min_args = 2,
    .max_args = 2,
    .summary = "write sessions in the M4A1 authors' format, with a manifest",
    .help =
        "Writes the sessions of STORE to OUT. A name that ends in .json gives that one\n"
        "file; any other gives a folder:\n\n"
        "  m4a1.json         sessions in the authors' format, one a line\n"
        "  splits/NAME.json  every frozen split\n"
        "  manifest.json     counts, licence, prices, versions, SHA-256 of every file\n"
        "  README.md         a data card\n\n"
        "Imported sessions come back as they were, numbers bit-equal. Collected ones "
        "carry\n"
        "further keys where the format has no room: llm, views, probability, simulated,\n"
        "refused, tokens, fan_out (docs/formats.md). A session ends before its first "
        "turn\n"
        "without an answer or a score; the manifest counts what that leaves out.\n\n"
        "OUT appears whole or not at all, and the same export again has the same bytes.\n"
        "It needs no writer's lock, so it works while a collector runs.\n\n"
        "  m4a1 export kitchen.m4a1 kitchen-export\n"
        "  m4a1 export kitchen.m4a1 kitchen.json --split main\n",
    .options = options,
    .run = run,
};
