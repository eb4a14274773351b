/* cmd_associate.c - m4a1 associate: text-view similarity by a CLIP checkpoint. */
#include <stdio.h>

#include "annotate/associate.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/clip_options.h"
#include "schema/query.h"

static const struct cli_option options[] = {
    CLIP_OPTIONS,
    { "json", NULL, "print the counts as JSON" },
    { NULL, NULL, NULL },
};

static struct progress *show_progress(void *arg, const char *what, int64_t total)
{
    return cli_progress(arg, what, total);
}

/* What has no value in the end, and why. */
struct left {
    int64_t values;    /* of this model, all passes */
    int64_t not_image; /* (turn, view) whose view is no image */
    int64_t no_frame;  /* (turn, view) of images without a frame or with a broken one */
};

static enum status count_left(
    struct store *store, const char *model, struct left *left, struct error *err)
{
    enum status s = store_int(store, 0, &left->values, err,
        "SELECT count(*) FROM association WHERE model = ?", "t", model);
    if (!s)
        s = store_int(store, 0, &left->not_image, err,
            "SELECT count(*) FROM turn, view WHERE kind <> 'image'", "");
    if (!s)
        s = store_int(store, 0, &left->no_frame, err,
            "SELECT count(*) FROM turn t, view v WHERE kind = 'image' AND NOT EXISTS"
            " (SELECT 1 FROM association a WHERE a.turn_id = t.turn_id AND a.view_id ="
            "  v.view_id AND a.model = ?)",
            "t", model);
    return s;
}

static void report(
    const char *path, const struct associate_result *r, const struct left *left)
{
    char time[32];
    if (!r->n_texts && !r->n_images && !r->n_values)
        printf("%s: everything was there already; nothing was computed\n", path);
    else
        printf("%s: %zu prompt%s and %zu frame%s embedded, %zu association%s new\n", path,
            r->n_texts, text_s((int64_t)r->n_texts), r->n_images,
            text_s((int64_t)r->n_images), r->n_values, text_s((int64_t)r->n_values));
    if (r->n_images)
        printf("frames: %.1f a second, %s; the image tower took %.0f %% of that time\n",
            (double)r->n_images / r->images_s,
            text_duration(r->images_s, time, sizeof time),
            100 * r->towers_s / r->images_s);
    printf("model %s: %lld values\n", r->model.name, (long long)left->values);
    if (left->not_image)
        printf("%lld (turn, view) have none because the view is no image\n",
            (long long)left->not_image);
    if (left->no_frame)
        printf("%lld (turn, view) have none because there is no frame, or a broken one\n",
            (long long)left->no_frame);
    printf("next: m4a1 stats association %s\n", path);
}

static enum status report_json(
    const struct associate_result *r, const struct left *left, struct error *err)
{
    struct json *j = json_new_object();
    json_set_text(j, "model", r->model.name);
    json_set_int(j, "texts", (int64_t)r->n_texts);
    json_set_int(j, "frames", (int64_t)r->n_images);
    json_set_int(j, "associations", (int64_t)r->n_values);
    json_set_int(j, "values", left->values);
    json_set_int(j, "without_not_image", left->not_image);
    json_set_int(j, "without_no_frame", left->no_frame);
    json_set_int(j, "broken_frames", (int64_t)r->n_broken);
    json_set_number(j, "images_s", r->images_s);
    json_set_number(j, "towers_s", r->towers_s);
    enum status s = j ? cli_print_json(j, err) : error_nomem(err, sizeof *r);
    json_free(j);
    return s;
}

static enum status run(struct cli *cli, struct error *err)
{
    const char *path = cli_arg(cli, 0);
    struct associate_result result = { 0 };
    struct store *store;
    struct clip *clip = NULL;
    struct clip_options clip_options;
    enum status s = clip_options_read(cli, &clip_options, err);
    if (s || (s = store_open(path, STORE_WRITE, &store, err)))
        return s;
    cli_catch_interrupts();
    s = clip_open(cli_value(cli, "clip"), &clip_options, &clip, err);
    if (!s) {
        const struct associate_options o = { .dir = cli_value(cli, "clip"),
            .bf16 = clip_options.bf16,
            .n_workers = clip_options.n_threads,
            .interrupted = &cli_interrupted,
            .progress = show_progress,
            .progress_arg = cli };
        s = associate_store(store, clip, &o, &result, err);
    }
    clip_close(clip);
    if (s == OK || s == E_PARTIAL || s == E_INTERRUPTED) {
        struct error why = ERROR_INIT;
        struct left left;
        enum status told = count_left(store, result.model.name, &left, &why);
        if (!told && cli_flag(cli, "json"))
            told = report_json(&result, &left, &why);
        else if (!told && !cli_flag(cli, "quiet"))
            report(path, &result, &left);
        if (told)
            s = error_set(err, told, "%s", why.msg);
    }
    store_close(store);
    return s;
}

const struct verb verb_associate = {
    .name = "associate",
    .stage = STAGE_CURATE,
    .args = "STORE",
    .min_args = 1,
    .max_args = 1,
    .summary = "how near each view is to each prompt, by a CLIP checkpoint",
    .help =
        "Computes for every turn and every view that is an image the cosine between the\n"
        "CLIP embeddings of the prompt and of the frame. DIR is a checkpoint folder as\n"
        "Hugging Face has it: config.json, preprocessor_config.json, model.safetensors,\n"
        "vocab.json and merges.txt (docs/association.md tells where to get one). No "
        "Python\n"
        "is needed.\n\n"
        "Embeddings are kept in the store, so the same command again computes nothing, "
        "and\n"
        "after Ctrl-C or a kill it goes on where it was. Another checkpoint, or another\n"
        "precision, adds its values beside those that are there; exports take those of "
        "the\n"
        "model that came last unless told otherwise. Views that are not images have no\n"
        "association: null, not 0.\n\n"
        "  m4a1 associate kitchen.m4a1 --clip clip-vit-base-patch32\n"
        "  m4a1 stats association kitchen.m4a1\n"
        "  m4a1 show kitchen.m4a1 --similar 'a cutting board' --clip "
        "clip-vit-base-patch32\n",
    .options = options,
    .run = run,
};
