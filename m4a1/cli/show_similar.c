/* show_similar.c - see show_similar.h.  Embeds the text only: the frames' embeddings are in
 * the store. */
#include "m4a1/cli/show_similar.h"

#include <stdio.h>
#include <stdlib.h>

#include "annotate/embeddings.h"
#include "collectors/source/contact_sheet.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/clip_options.h"
#include "schema/query.h"

#define DEFAULT_N 12
#define MAX_N 400
#define LABEL_MAX 160

struct similar {
    struct embeddings_model model;
    struct embeddings_near near[MAX_N];
    size_t n, n_frames;
};

static enum status find(struct cli *cli, struct store *store, struct similar *out,
    size_t n, struct error *err)
{
    struct clip_options options;
    struct clip *clip = NULL;
    float *vector = NULL;
    const char *text = cli_value(cli, "similar");
    enum status s = clip_options_read(cli, &options, err);
    options.no_images = 1;
    if (!s)
        s = clip_open(cli_value(cli, "clip"), &options, &clip, err);
    if (!s)
        s = embeddings_find(store, clip_identity(clip), &out->model, err);
    if (!s && !(vector = malloc((out->model.dims + 1) * sizeof *vector)))
        s = error_nomem(err, out->model.dims * sizeof *vector);
    if (!s)
        s = clip_embed_texts(clip, &text, 1, vector, err);
    if (!s)
        s = embeddings_nearest(
            store, &out->model, vector, n, out->near, &out->n, &out->n_frames, err);
    if (!s && !out->n)
        s = error_set(err, E_NOT_FOUND,
            "store %s has no embedded frame of model %s; m4a1 associate computes them",
            store_path(store), out->model.name);
    free(vector);
    clip_close(clip);
    return s;
}

/* Where each frame stands: the first scene, view and instant that has it. */
static enum status place(struct store *store, const struct similar *found,
    struct json *list, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT n.name, v.name, f.at_ms, f.source, count(*) OVER () FROM scene_frame f"
        " JOIN scene n USING (scene_id) JOIN view v USING (view_id) WHERE f.frame_id = ?"
        " ORDER BY n.scene_id, f.at_ms, v.position LIMIT 1",
        &q, err);
    for (size_t i = 0; i < found->n && !s; i++) {
        struct json *row = json_add_object(list);
        json_set_number(row, "cosine", found->near[i].cosine);
        json_set_int(row, "frame_id", found->near[i].frame_id);
        query_bind(q, "i", found->near[i].frame_id);
        s = query_next(q, err);
        if (s || !query_has_row(q))
            continue;
        json_set_text(row, "scene", query_text(q, 0));
        json_set_text(row, "view", query_text(q, 1));
        json_set_number(row, "at_s", (double)query_int(q, 2) / 1e3);
        json_set_text(row, "source", query_text(q, 3));
        if (!json_set_int(row, "places", query_int(q, 4)))
            s = error_nomem(err, 64);
    }
    query_close(q);
    return s;
}

static enum status draw(struct cli *cli, struct store *store, const struct similar *found,
    const struct json *list, struct error *err)
{
    char(*labels)[LABEL_MAX] = calloc(found->n, sizeof *labels);
    struct contact_frame *frames = calloc(found->n, sizeof *frames);
    char *title = text_format("%s   (cosines of %s, %zu of %zu frames)",
        cli_value(cli, "similar"), found->model.name, found->n, found->n_frames);
    enum status s =
        labels && frames && title ? OK : error_nomem(err, LABEL_MAX * found->n);
    for (size_t i = 0; i < found->n && !s; i++) {
        const struct json *row = json_at(list, i);
        snprintf(labels[i], sizeof labels[i], "%.3f %s", found->near[i].cosine,
            json_text(json_get(row, "view"), ""));
        frames[i] = (struct contact_frame) { found->near[i].frame_id,
            { labels[i], json_text(json_get(row, "scene"), "") } };
    }
    if (!s)
        s = contact_sheet_frames(
            store, title, frames, found->n, cli_value(cli, "out"), err);
    free(title);
    free(frames);
    free(labels);
    return s;
}

static void print(struct cli *cli, const struct similar *found, const struct json *list)
{
    char cosine[32], at[32], more[32];
    struct table *t = table_new(5);
    printf("\"%s\": the nearest %zu of %zu frames by %s\n", cli_value(cli, "similar"),
        found->n, found->n_frames, found->model.name);
    table_row(t, "cosine", "scene", "view", "second", "also at");
    for (const struct json *row = json_first(list); row; row = json_next(row)) {
        long long places = (long long)json_int(json_get(row, "places"), 1) - 1;
        snprintf(cosine, sizeof cosine, "%.4f", json_number(json_get(row, "cosine"), 0));
        snprintf(at, sizeof at, "%g", json_number(json_get(row, "at_s"), 0));
        if (places > 0)
            snprintf(more, sizeof more, "%lld others", places);
        else
            *more = '\0';
        table_row(t, cosine, json_text(json_get(row, "scene"), ""),
            json_text(json_get(row, "view"), ""), at, more);
    }
    table_print(t);
    table_free(t);
    if (cli_value(cli, "out"))
        printf("%s shows them\n", cli_value(cli, "out"));
    else
        printf("--out FILE.jpg shows them\n");
}

/* The sheet is a JPEG, and viewers go by the name. */
static enum status check_out(struct cli *cli, struct error *err)
{
    const char *out = cli_value(cli, "out");
    if (!out || text_ends(out, ".jpg") || text_ends(out, ".jpeg") ||
        text_ends(out, ".JPG") || text_ends(out, ".JPEG"))
        return OK;
    return cli_usage(cli, err, "--out %s: the sheet is a JPEG; name it FILE.jpg", out);
}

enum status show_similar(struct cli *cli, struct error *err)
{
    struct store *store = NULL;
    int64_t n;
    struct similar *found = calloc(1, sizeof *found);
    struct json *root = json_new_object();
    struct json *list = json_set_array(root, "frames");
    enum status s = found && list ? OK : error_nomem(err, sizeof *found);
    if (!s)
        s = check_out(cli, err);
    if (!s)
        s = cli_int(cli, "frames", DEFAULT_N, 1, MAX_N, &n, err);
    if (!s)
        s = store_open(cli_arg(cli, 0), STORE_READ, &store, err);
    if (!s)
        s = find(cli, store, found, (size_t)n, err);
    if (!s)
        s = place(store, found, list, err);
    if (!s && cli_value(cli, "out"))
        s = draw(cli, store, found, list, err);
    if (!s && cli_flag(cli, "json")) {
        json_set_text(root, "text", cli_value(cli, "similar"));
        json_set_text(root, "model", found->model.name);
        json_set_int(root, "of_frames", (int64_t)found->n_frames);
        s = cli_print_json(root, err);
    } else if (!s) {
        print(cli, found, list);
    }
    store_close(store);
    json_free(root);
    free(found);
    return s;
}
