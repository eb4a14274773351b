/* cmd_embed.c - m4a1 embed: embeddings of texts and pictures, and their cosines. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/clip/prepare.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/clip_options.h"

#define SHOWN_COSINES 12 /* inputs up to which they fit a screen */
#define SHOWN 6          /* numbers of an embedding that people see; --json has all */

static const struct cli_option options[] = {
    CLIP_OPTIONS,
    { "text", "TEXT", "embed this text; may be given several times" },
    { "json", NULL, "print whole embeddings and cosines as JSON" },
    { NULL, NULL, NULL },
};

struct inputs {
    const char **names; /* texts, then files; the strings are the command line's */
    size_t n_texts, n;
    float *vectors; /* [n][dims] */
    size_t dims;
};

/* One picture at a time: this verb is for looking at a few. */
static enum status embed_file(
    struct clip *clip, const char *path, float *pixels, float *out, struct error *err)
{
    struct buffer file;
    buffer_init(&file, PICTURE_MAX_FILE_BYTES);
    enum status s = file_read(path, &file, err);
    if (!s) {
        s = prepare_file(file.data, file.len, clip_preparation(clip), NULL, pixels, err);
        if (s)
            error_prefix(err, "%s: ", path);
    }
    buffer_release(&file);
    return s ? s : clip_embed_images(clip, pixels, 1, out, err);
}

/* Damaged weights may be finite and still give what no cosine can be of. */
static enum status check_vector(const struct inputs *in, size_t i, struct error *err)
{
    const float *x = in->vectors + i * in->dims;
    double length = 0;
    for (size_t d = 0; d < in->dims; d++)
        length += fabs((double)x[d]);
    if (isfinite(length) && length > 0)
        return OK;
    return error_set(err, E_DATA,
        "the embedding of \"%.60s\" is %s: the weights are damaged, or activations "
        "overflow",
        in->names[i], length > 0 || isnan(length) ? "not finite" : "zero");
}

static enum status embed_all(struct clip *clip, struct inputs *in, struct error *err)
{
    size_t side = clip_config(clip)->image_size;
    in->dims = clip_config(clip)->projection;
    float *pixels = malloc(3 * side * side * sizeof *pixels);
    in->vectors = calloc(in->n * in->dims, sizeof *in->vectors);
    enum status s = pixels && in->vectors
                        ? OK
                        : error_nomem(err, in->n * in->dims * sizeof *in->vectors);
    for (size_t i = 0; i < in->n && !s; i++) {
        float *out = in->vectors + i * in->dims;
        s = i < in->n_texts ? clip_embed_texts(clip, in->names + i, 1, out, err)
                            : embed_file(clip, in->names[i], pixels, out, err);
        if (!s)
            s = check_vector(in, i, err);
    }
    free(pixels);
    return s;
}

static double cosine(const struct inputs *in, size_t i, size_t k)
{
    return clip_cosine(in->vectors + i * in->dims, in->vectors + k * in->dims, in->dims);
}

static enum status print_json(
    const struct clip *clip, const struct inputs *in, struct error *err)
{
    struct json *root = json_new_object();
    json_set_text(root, "identity", clip_identity(clip));
    json_set_int(root, "dims", (int64_t)in->dims);
    struct json *list = json_set_array(root, "inputs");
    const struct json *last = list;
    for (size_t i = 0; i < in->n; i++) {
        struct json *row = json_add_object(list);
        json_set_text(row, i < in->n_texts ? "text" : "file", in->names[i]);
        struct json *vector = json_set_array(row, "embedding");
        for (size_t d = 0; d < in->dims; d++)
            last = json_add_number(vector, (double)in->vectors[i * in->dims + d]);
    }
    struct json *rows = in->n > 1 ? json_set_array(root, "cosines") : NULL;
    for (size_t i = 0; i < in->n && rows; i++) {
        struct json *row = json_add_array(rows);
        for (size_t k = 0; k < in->n; k++)
            last = json_add_number(row, cosine(in, i, k));
    }
    enum status s = root && last ? cli_print_json(root, err) : error_nomem(err, 1024);
    json_free(root);
    return s;
}

static void print(const struct clip *clip, const struct inputs *in)
{
    printf("%zu numbers each, not normalised; checkpoint %.12s\n", in->dims,
        clip_identity(clip));
    for (size_t i = 0; i < in->n; i++) {
        printf("%2zu  %s%s\n    ", i + 1, i < in->n_texts ? "text " : "", in->names[i]);
        for (size_t d = 0; d < in->dims && d < SHOWN; d++)
            printf("%s%.6f", d ? " " : "", (double)in->vectors[i * in->dims + d]);
        printf("%s\n", in->dims > SHOWN ? " ..." : "");
    }
    if (in->n > SHOWN_COSINES)
        printf("\n--json has the cosines of %zu inputs\n", in->n);
    if (in->n < 2 || in->n > SHOWN_COSINES)
        return;
    printf("\ncosines\n    ");
    for (size_t k = 0; k + 1 < in->n; k++)
        printf("%10zu", k + 1);
    printf("\n");
    for (size_t i = 1; i < in->n; i++) {
        printf("%4zu", i + 1);
        for (size_t k = 0; k < i; k++)
            printf("%10.6f", cosine(in, i, k));
        printf("\n");
    }
}

static enum status read_inputs(struct cli *cli, struct inputs *in, struct error *err)
{
    while (cli_value_at(cli, "text", in->n_texts))
        in->n_texts++;
    in->n = in->n_texts + (size_t)cli_n_args(cli);
    if (!in->n)
        return cli_usage(cli, err, "there is nothing to embed: --text TEXT or a FILE");
    in->names = calloc(in->n, sizeof *in->names);
    if (!in->names)
        return error_nomem(err, in->n * sizeof *in->names);
    for (size_t i = 0; i < in->n; i++)
        in->names[i] = i < in->n_texts ? cli_value_at(cli, "text", i)
                                       : cli_arg(cli, (int)(i - in->n_texts));
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct inputs in = { 0 };
    struct clip *clip = NULL;
    struct clip_options clip_options;
    enum status s = clip_options_read(cli, &clip_options, err);
    if (!s)
        s = read_inputs(cli, &in, err);
    clip_options.no_texts = !in.n_texts;
    clip_options.no_images = in.n == in.n_texts;
    if (!s)
        s = clip_open(cli_value(cli, "clip"), &clip_options, &clip, err);
    if (!s)
        s = embed_all(clip, &in, err);
    if (!s && cli_flag(cli, "json"))
        s = print_json(clip, &in, err);
    else if (!s)
        print(clip, &in);
    clip_close(clip);
    free(in.names);
    free(in.vectors);
    return s;
}

const struct verb verb_embed = {
    .name = "embed",
    .stage = STAGE_USE,
    .args = "[FILE...]",
    .min_args = 0,
    .max_args = -1,
    .summary = "CLIP embeddings of texts and pictures, and their cosines",
    .help =
        "Prints what a CLIP checkpoint makes of texts (--text) and pictures (JPEG or PNG "
        "files),\n"
        "and for two inputs or more their cosines: enough to hold a checkpoint against "
        "your\n"
        "own Python in a minute. Embeddings are the projected ones, not normalised, as\n"
        "get_text_features() and get_image_features() give them. No store is needed.\n\n"
        "  m4a1 embed --clip clip-vit-base-patch32 --text 'a knife' --text 'a spoon'\n"
        "  m4a1 embed --clip clip-vit-base-patch32 --text 'a kitchen' 1.jpg 2.jpg\n"
        "  m4a1 embed --clip clip-vit-base-patch32 1.jpg --json | jq "
        "'.inputs[0].embedding'\n",
    .options = options,
    .run = run,
};
