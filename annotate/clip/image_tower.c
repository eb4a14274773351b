/* image_tower.c - the vision transformer.  The patches' convolution, whose stride is its
 * width, is a product of a row a patch. */
#include "annotate/clip/image_tower.h"

#include <stdlib.h>
#include <string.h>

#define MODEL "vision_model"

enum status image_tower_load(const struct weights *w, const struct clip_config *config,
    struct image_tower *out, struct error *err)
{
    size_t width = config->image.width, grid = config->image_size / config->patch;
    float eps = config->image.layer_norm_eps;
    *out = (struct image_tower) { .side = config->image_size,
        .patch = config->patch,
        .projection = config->projection,
        .n_positions = grid * grid + 1 };
    const uint64_t patch[4] = { width, 3, config->patch, config->patch };
    const uint64_t positions[2] = { out->n_positions, width };
    const uint64_t projection[2] = { config->projection, width };
    struct linear_spec patches = { .n_in = 3 * out->patch * out->patch,
        .n_out = width,
        .bf16 = w->bf16 },
                       project = { .n_in = width, .n_out = config->projection };
    enum status s = weights_matrix(w, patches, MODEL ".embeddings.patch_embedding.weight",
        patch, 4, &out->patches, err);
    if (s == OK)
        s = weights_copy(
            w, MODEL ".embeddings.class_embedding", patch, 1, &out->class_token, err);
    if (s == OK)
        s = weights_copy(w, MODEL ".embeddings.position_embedding.weight", positions, 2,
            &out->positions, err);
    if (s == OK) // Hugging Face's spelling
        s = weights_norm(w, MODEL ".pre_layrnorm", width, eps, &out->pre, err);
    if (s == OK)
        s = encoder_load(w, MODEL, &config->image, 0, &out->encoder, err);
    if (s == OK)
        s = weights_norm(w, MODEL ".post_layernorm", width, eps, &out->post, err);
    if (s == OK)
        s = weights_matrix(
            w, project, "visual_projection.weight", projection, 2, &out->project, err);
    if (s)
        image_tower_release(out);
    return s;
}

void image_tower_release(struct image_tower *t)
{
    linear_free(t->patches);
    linear_free(t->project);
    free(t->class_token);
    free(t->positions);
    norm_release(&t->pre);
    norm_release(&t->post);
    encoder_release(&t->encoder);
    *t = (struct image_tower) { 0 };
}

enum status image_tower_room(const struct image_tower *t, size_t max_images,
    size_t n_members, struct room *out, struct error *err)
{
    return room_new(&t->encoder, max_images * t->n_positions, max_images, t->n_positions,
        3 * t->patch * t->patch, n_members, out, err);
}

void image_tower_begin(const struct image_tower *t, size_t n_images, struct room *room)
{
    room->n_sequences = n_images;
    room->n_rows = n_images * t->n_positions;
    for (size_t i = 0; i < n_images; i++) {
        room->pooled[i] = i * t->n_positions;
        room->ends[i] = (i + 1) * t->n_positions;
    }
}

/* The numbers of one patch, channel by channel, row by row. */
static void copy_patch(
    const struct image_tower *t, const float *image, size_t patch, float *out)
{
    size_t p = t->patch, grid = t->side / p;
    const float *corner = image + (patch / grid * t->side + patch % grid) * p;
    for (size_t c = 0; c < 3; c++)
        for (size_t y = 0; y < p; y++, out += p)
            memcpy(out, corner + (c * t->side + y) * t->side, p * sizeof *out);
}

/* Products of the patches that belong to rows [first, end), behind each other in out. */
static void run_patches(const struct image_tower *t, struct member *m,
    const struct room *room, const float *pixels, size_t first, size_t end, float *out)
{
    size_t n_in = 3 * t->patch * t->patch, n = 0;
    int bf16 = t->encoder.bf16;
    char *input =
        (char *)room->hidden + first * n_in * (bf16 ? sizeof(uint16_t) : sizeof(float));
    for (size_t row = first; row < end; row++) {
        size_t position = row % t->n_positions;
        const float *image = pixels + row / t->n_positions * 3 * t->side * t->side;
        if (position == 0)
            continue;
        float *line = bf16 ? room->scratch[m->rank] : (float *)(void *)input + n * n_in;
        copy_patch(t, image, position - 1, line);
        if (bf16)
            m->kernels->to_bf16(line, n_in, (uint16_t *)(void *)input + n * n_in);
        n++;
    }
    member_linear(m, t->patches, input, out, n);
    member_see(m, "patches", 0, out, n, t->encoder.tower.width);
}

void image_tower_run(const struct image_tower *t, struct member *m, struct room *room,
    const float *pixels, float *out)
{
    size_t width = t->encoder.tower.width, first, end;
    member_share(m, room->n_rows, &first, &end);
    float *patch = room->qkv[0] + first * 3 * width;
    run_patches(t, m, room, pixels, first, end, patch);
    for (size_t row = first; row < end; row++) {
        size_t position = row % t->n_positions;
        const float *token = position ? patch : t->class_token;
        for (size_t i = 0; i < width; i++)
            room->x[row * width + i] = token[i] + t->positions[position * width + i];
        patch += position ? width : 0;
    }
    float *x = room->x + first * width;
    member_see(m, "embeddings", 0, x, end - first, width);
    m->kernels->layer_norm(
        x, end - first, width, t->pre.gain, t->pre.bias, t->pre.eps, x);
    member_see(m, "pre_ln", 0, x, end - first, width);
    encoder_run(&t->encoder, m, room);

    member_share(m, room->n_sequences, &first, &end);
    float *top = room->top + first * width;
    m->kernels->layer_norm(
        top, end - first, width, t->post.gain, t->post.bias, t->post.eps, top);
    member_see(m, "post_ln", 0, top, end - first, width);
    out += first * t->projection;
    member_linear(m, t->project, top, out, end - first);
    member_see(m, "proj", 0, out, end - first, t->projection);
}
