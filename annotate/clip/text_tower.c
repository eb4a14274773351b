/* text_tower.c - the text transformer. */
#include "annotate/clip/text_tower.h"

#include <stdlib.h>
#include <string.h>

#define MODEL "text_model"

enum status text_tower_load(const struct weights *w, const struct clip_config *config,
    struct text_tower *out, struct error *err)
{
    size_t width = config->text.width;
    float eps = config->text.layer_norm_eps;
    *out = (struct text_tower) { .context = config->context,
        .vocab = config->vocab,
        .projection = config->projection };
    const uint64_t tokens[2] = { config->vocab, width };
    const uint64_t positions[2] = { config->context, width };
    const uint64_t projection[2] = { config->projection, width };
    struct linear_spec project = { .n_in = width, .n_out = config->projection };
    enum status s = tensors_f32(w->tensors, MODEL ".embeddings.token_embedding.weight",
        tokens, 2, &out->tokens, err);
    if (s == OK)
        s = weights_copy(w, MODEL ".embeddings.position_embedding.weight", positions, 2,
            &out->positions, err);
    if (s == OK)
        s = encoder_load(w, MODEL, &config->text, 1, &out->encoder, err);
    if (s == OK)
        s = weights_norm(w, MODEL ".final_layer_norm", width, eps, &out->final, err);
    if (s == OK)
        s = weights_matrix(
            w, project, "text_projection.weight", projection, 2, &out->project, err);
    if (s)
        text_tower_release(out);
    return s;
}

void text_tower_release(struct text_tower *t)
{
    linear_free(t->project);
    free(t->positions);
    norm_release(&t->final);
    encoder_release(&t->encoder);
    *t = (struct text_tower) { 0 };
}

size_t text_tower_rows(size_t n_ids)
{
    size_t step = n_ids <= 64 ? 1 : 4;
    return (n_ids + step - 1) / step * step;
}

enum status text_tower_room(const struct text_tower *t, size_t max_rows, size_t max_texts,
    size_t n_members, struct room *out, struct error *err)
{
    return room_new(&t->encoder, max_rows, max_texts, t->context, 0, n_members, out, err);
}

void text_tower_begin(const struct text_ids *texts, size_t n_texts, struct room *room)
{
    room->n_sequences = n_texts;
    room->n_rows = 0;
    for (size_t i = 0; i < n_texts; i++) {
        room->n_rows += texts[i].n;
        room->ends[i] = room->n_rows;
        room->pooled[i] = room->n_rows - 1;
    }
    room->n_rows = text_tower_rows(room->n_rows);
}

void text_tower_run(const struct text_tower *t, struct member *m, struct room *room,
    const struct text_ids *texts, float *out)
{
    size_t width = t->encoder.tower.width, first, end, row = 0;
    member_share(m, room->n_rows, &first, &end);
    for (size_t i = 0; i < room->n_sequences; i++) {
        for (size_t position = 0; position < texts[i].n; position++, row++) {
            if (row < first || row >= end)
                continue;
            const float *token = t->tokens + (size_t)texts[i].ids[position] * width;
            for (size_t j = 0; j < width; j++)
                room->x[row * width + j] = token[j] + t->positions[position * width + j];
        }
    }
    for (row = row > first ? row : first; row < end; row++) // those that fill up
        memset(room->x + row * width, 0, width * sizeof *room->x);
    member_see(m, "embeddings", 0, room->x + first * width, end - first, width);
    encoder_run(&t->encoder, m, room);

    member_share(m, room->n_sequences, &first, &end);
    float *top = room->top + first * width;
    m->kernels->layer_norm(
        top, end - first, width, t->final.gain, t->final.bias, t->final.eps, top);
    member_see(m, "final_ln", 0, top, end - first, width);
    out += first * t->projection;
    member_linear(m, t->project, top, out, end - first);
    member_see(m, "proj", 0, out, end - first, t->projection);
}
