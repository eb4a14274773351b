/* data_card.c - README.md of an export folder: a screen for people. */
#include "export/manifest.h"

#include <inttypes.h>

static int64_t count(const struct json *manifest, const char *group, const char *key)
{
    return json_int(json_get(json_get(manifest, group), key), 0);
}

static void add_left_out(const struct json *manifest, struct buffer *out)
{
    int64_t unasked = count(manifest, "left_out", "turns_without_an_answer");
    int64_t unscored = count(manifest, "left_out", "turns_without_a_score");
    int64_t behind = count(manifest, "left_out", "turns_behind_those");
    if (unasked + unscored + behind == 0) {
        buffer_add_str(out, "Nothing that was collected is left out.\n");
        return;
    }
    buffer_printf(out,
        "Left out: %" PRId64 " turns without an answer, %" PRId64
        " without a score, %" PRId64
        " behind those; a session ends before its first incomplete turn.\n",
        unasked, unscored, behind);
}

static void add_names(const struct json *manifest, struct buffer *out)
{
    buffer_add_str(out, "\n## Views and LLMs\n");
    const struct json *views = json_get(manifest, "views");
    for (const struct json *c = json_first(views); c; c = json_next(c))
        buffer_printf(out, "- view `%s`: %s, privacy level %" PRId64 "\n",
            json_text(json_get(c, "name"), ""), json_text(json_get(c, "kind"), ""),
            json_int(json_get(c, "privacy"), 0));
    const struct json *llms = json_get(manifest, "llms");
    for (const struct json *c = json_first(llms); c; c = json_next(c))
        buffer_printf(out, "- llm `%s`: %s%s%s\n", json_text(json_get(c, "name"), ""),
            json_text(json_get(c, "role"), ""),
            json_get(json_get(c, "facts"), "model") ? ", " : "",
            json_text(json_get(json_get(c, "facts"), "model"), ""));
}

static void add_splits(const struct json *manifest, struct buffer *out)
{
    const struct json *splits = json_get(manifest, "splits");
    if (!json_size(splits))
        return;
    buffer_add_str(out, "\n## Frozen splits\n");
    for (const struct json *c = json_first(splits); c; c = json_next(c))
        buffer_printf(out,
            "- `splits/%s.json`: %s, seed %" PRId64 ", %" PRId64 " / %" PRId64
            " sessions\n",
            json_text(json_get(c, "name"), ""), json_text(json_get(c, "rule"), ""),
            json_int(json_get(c, "seed"), 0), json_int(json_get(c, "train"), 0),
            json_int(json_get(c, "test"), 0));
}

enum status manifest_card(
    const struct json *manifest, struct buffer *out, struct error *err)
{
    const char *licence = json_text(json_get(manifest, "licence"), NULL);
    const char *consent = json_text(json_get(manifest, "consent"), NULL);
    int64_t simulated = count(manifest, "counts", "simulated_answers");
    buffer_printf(out, "# %s\n\n",
        json_text(json_get(json_get(manifest, "store"), "name"), "data set"));
    if (simulated)
        buffer_printf(out,
            "**%" PRId64 " of %" PRId64 " answers are simulated.** They come from the "
            "simulator, not from an LLM, and say nothing about any model.\n\n",
            simulated, count(manifest, "counts", "answers"));
    buffer_printf(out,
        "%" PRId64 " sessions over %" PRId64 " scenes, %" PRId64 " turns in %" PRId64
        " tasks with %" PRId64 " prompts, %" PRId64 " fan-out answers beside the path.\n",
        count(manifest, "counts", "sessions"), count(manifest, "counts", "scenes"),
        count(manifest, "counts", "turns"), count(manifest, "counts", "tasks"),
        count(manifest, "counts", "prompts"), count(manifest, "counts", "fan_out"));
    add_left_out(manifest, out);
    buffer_printf(out, "\nLicence: %s. Consent: %s.\n", licence ? licence : "not stated",
        consent ? consent : "not stated");
    add_names(manifest, out);
    add_splits(manifest, out);
    buffer_printf(out,
        "\n## Files\n"
        "- `" EXPORT_DATA_FILE "`: the sessions in the M4A1 authors' format (arXiv "
        "2502.11007), one a line; scores are raw, also those of refusals.\n"
        "- `" EXPORT_MANIFEST_FILE
        "`: counts, prices, versions, and the SHA-256 of every "
        "other file.\n\n"
        "Written by %s. `m4a1 stats`, `train` and `evaluate` take this folder as it "
        "is.\n",
        json_text(json_get(manifest, "tool"), "m4a1"));
    return buffer_status(out, "README.md", err);
}
