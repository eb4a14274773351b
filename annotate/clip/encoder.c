/* encoder.c - transformer blocks over sequences of any lengths. */
#include "annotate/clip/encoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

#define MAX_PREFIX 112
#define ALIGN 64

struct encoder_block {
    struct norm ln1, ln2;
    struct linear *qkv, *out, *fc1, *fc2;
};

/* --- weights --- */

static enum status load_block(const struct weights *w, const char *prefix,
    const struct clip_tower *tower, struct encoder_block *b, struct error *err)
{
    static const char *const parts[] = { "self_attn.q_proj", "self_attn.k_proj",
        "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2", "layer_norm1",
        "layer_norm2" };
    char text[COUNT_OF(parts)][MAX_PREFIX + 32];
    const char *name[COUNT_OF(parts)];
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        snprintf(text[i], sizeof text[i], "%s.%s", prefix, parts[i]);
        name[i] = text[i];
    }
    size_t width = tower->width;
    enum linear_form activation =
        tower->activation == CLIP_GELU ? LINEAR_GELU : LINEAR_QUICK_GELU;
    struct linear_spec qkv = { .n_in = width, .n_out = 3 * width },
                       out = { .n_in = width, .n_out = width, .form = LINEAR_ADD },
                       fc1 = { .n_in = width,
                           .n_out = tower->mlp,
                           .form = activation,
                           .bf16_out = w->bf16 },
                       fc2 = { .n_in = tower->mlp, .n_out = width, .form = LINEAR_ADD };
    enum status s = weights_norm(w, name[6], width, tower->layer_norm_eps, &b->ln1, err);
    if (s == OK)
        s = weights_linear(w, qkv, name, 3, &b->qkv, err);
    if (s == OK)
        s = weights_linear(w, out, name + 3, 1, &b->out, err);
    if (s == OK)
        s = weights_norm(w, name[7], width, tower->layer_norm_eps, &b->ln2, err);
    if (s == OK)
        s = weights_linear(w, fc1, name + 4, 1, &b->fc1, err);
    if (s == OK)
        s = weights_linear(w, fc2, name + 5, 1, &b->fc2, err);
    return s;
}

/* A tower without its last blocks would give embeddings that look like any others. */
static enum status refuse_more_blocks(
    const struct weights *w, const char *prefix, uint32_t n, struct error *err)
{
    char name[2 * MAX_PREFIX];
    snprintf(name, sizeof name, "%s.encoder.layers.%u.layer_norm1.weight", prefix, n);
    return weights_none(w, name, "num_hidden_layers", n, err);
}

enum status encoder_load(const struct weights *w, const char *prefix,
    const struct clip_tower *tower, int causal, struct encoder *out, struct error *err)
{
    *out = (struct encoder) { .tower = *tower,
        .shape = { tower->n_heads, tower->width / tower->n_heads, causal },
        .bf16 = w->bf16 };
    out->blocks = calloc(tower->n_layers, sizeof *out->blocks);
    if (!out->blocks)
        return error_nomem(err, tower->n_layers * sizeof *out->blocks);
    enum status s = OK;
    for (uint32_t i = 0; i < tower->n_layers && s == OK; i++) {
        char name[MAX_PREFIX];
        snprintf(name, sizeof name, "%s.encoder.layers.%u", prefix, i);
        s = load_block(w, name, tower, &out->blocks[i], err);
    }
    if (s == OK)
        s = refuse_more_blocks(w, prefix, tower->n_layers, err);
    if (s)
        encoder_release(out);
    return s;
}

void encoder_release(struct encoder *e)
{
    for (uint32_t i = 0; e->blocks && i < e->tower.n_layers; i++) {
        struct encoder_block *b = &e->blocks[i];
        norm_release(&b->ln1);
        norm_release(&b->ln2);
        linear_free(b->qkv);
        linear_free(b->out);
        linear_free(b->fc1);
        linear_free(b->fc2);
    }
    free(e->blocks);
    *e = (struct encoder) { 0 };
}

/* --- memory --- */

/* Zeroed, so that rows which only fill up a product hold numbers. */
static void *zeros(size_t n, size_t each)
{
    size_t size = (n * each + ALIGN - 1) / ALIGN * ALIGN;
    void *p = aligned_alloc(ALIGN, size ? size : ALIGN);
    if (p)
        memset(p, 0, size);
    return p;
}

enum status room_new(const struct encoder *e, size_t max_rows, size_t max_sequences,
    size_t n_positions, size_t widest, size_t n_members, struct room *out,
    struct error *err)
{
    size_t width = e->tower.width, each = e->bf16 ? sizeof(uint16_t) : sizeof(float);
    size_t hidden = e->tower.mlp > widest ? e->tower.mlp : widest;
    size_t n_scratch = attention_scratch(&e->shape, n_positions);
    n_scratch = n_scratch > widest ? n_scratch : widest;
    struct room r = {
        .max_rows = max_rows, .max_sequences = max_sequences, .n_members = n_members
    };
    r.ends = zeros(max_sequences, sizeof *r.ends);
    r.pooled = zeros(max_sequences, sizeof *r.pooled);
    r.x = zeros(max_rows * width, sizeof *r.x);
    r.top = zeros(max_sequences * width, sizeof *r.top);
    r.input = zeros(max_rows * width, each);
    r.staged = e->bf16 ? zeros(max_rows * width, sizeof *r.staged) : NULL;
    r.qkv[0] = zeros(max_rows * 3 * width, sizeof(float));
    r.qkv[1] = n_members > 1 ? zeros(max_rows * 3 * width, sizeof(float)) : r.qkv[0];
    r.hidden = zeros(max_rows * hidden, each);
    r.scratch = zeros(n_members, sizeof *r.scratch);
    int ok = r.ends && r.pooled && r.x && r.top && r.input && (r.staged || !e->bf16) &&
             r.qkv[0] && r.qkv[1] && r.hidden && r.scratch;
    for (size_t i = 0; i < n_members && ok; i++)
        ok = (r.scratch[i] = zeros(n_scratch, sizeof(float))) != NULL;
    if (!ok) {
        room_release(&r);
        *out = r;
        return error_nomem(err, max_rows * (5 * width + hidden) * sizeof(float));
    }
    *out = r;
    return OK;
}

void room_release(struct room *room)
{
    for (size_t i = 0; room->scratch && i < room->n_members; i++)
        free(room->scratch[i]);
    free(room->scratch);
    free(room->hidden);
    if (room->qkv[1] != room->qkv[0])
        free(room->qkv[1]);
    free(room->qkv[0]);
    free(room->staged);
    free(room->input);
    free(room->top);
    free(room->x);
    free(room->pooled);
    free(room->ends);
    *room = (struct room) { 0 };
}

/* --- members --- */

void member_share(const struct member *m, size_t n, size_t *first, size_t *end)
{
    *first = n * m->rank / m->size;
    *end = n * (m->rank + 1) / m->size;
}

void member_linear(
    struct member *m, const struct linear *l, const void *x, void *y, size_t n_rows)
{
    if (m->status == OK)
        m->status = linear_run(m->lane, l, x, y, n_rows, &m->err);
}

void member_norm(const struct member *m, const struct norm *norm, const float *x,
    size_t n_rows, float *staged, void *y)
{
    const struct kernels *k = m->kernels;
    size_t width = norm->width;
    if (!staged) {
        k->layer_norm(x, n_rows, width, norm->gain, norm->bias, norm->eps, y);
        return;
    }
    uint16_t *half = y;
    for (size_t i = 0; i < n_rows; i++) { // the row is still in the cache
        k->layer_norm(x + i * width, 1, width, norm->gain, norm->bias, norm->eps, staged);
        k->to_bf16(staged, width, half + i * width);
    }
}

void member_see(const struct member *m, const char *stage, size_t block, const void *data,
    size_t n_rows, size_t width)
{
    if (m->probe)
        m->probe->see(m->probe->arg, stage, block, data, n_rows, width);
}

/* --- a pass --- */

/* Row i of a buffer that products take. */
static void *row_of(const struct encoder *e, void *buffer, size_t i, size_t width)
{
    return (char *)buffer + i * width * (e->bf16 ? sizeof(uint16_t) : sizeof(float));
}

/* Attention of queries [first, end), counted over all sequences, into room->input. */
static void attend(const struct encoder *e, const struct member *m,
    const struct room *room, const float *qkv, size_t first, size_t end)
{
    size_t width = e->tower.width;
    float *out = room->staged ? room->staged : room->input;
    for (size_t i = 0, begin = 0; i < room->n_sequences && begin < end; i++) {
        size_t stop = room->ends[i];
        size_t from = first > begin ? first : begin, to = end < stop ? end : stop;
        if (from < to)
            attention_run(m->kernels, &e->shape, qkv + begin * 3 * width, stop - begin,
                from - begin, to - begin, room->scratch[m->rank], out + from * width);
        begin = stop;
    }
    if (room->staged && first < end)
        m->kernels->to_bf16(out + first * width, (end - first) * width,
            row_of(e, room->input, first, width));
}

/* The same for the one query of each sequence [first, end), into rows first and so on. */
static void attend_pooled(const struct encoder *e, const struct member *m,
    const struct room *room, const float *qkv, size_t first, size_t end)
{
    size_t width = e->tower.width;
    float *out = room->staged ? room->staged : room->input;
    for (size_t i = first; i < end; i++) {
        size_t begin = i ? room->ends[i - 1] : 0, query = room->pooled[i] - begin;
        attention_run(m->kernels, &e->shape, qkv + begin * 3 * width,
            room->ends[i] - begin, query, query + 1, room->scratch[m->rank],
            out + i * width);
        memcpy(room->top + i * width, room->x + room->pooled[i] * width,
            width * sizeof *room->top);
    }
    if (room->staged && first < end)
        m->kernels->to_bf16(out + first * width, (end - first) * width,
            row_of(e, room->input, first, width));
}

/* What follows attention, on rows [first, end) of x. */
static void run_rest(const struct encoder *e, struct member *m, const struct room *room,
    size_t block, float *x, size_t first, size_t end)
{
    const struct encoder_block *b = &e->blocks[block];
    size_t width = e->tower.width, mlp = e->tower.mlp, n = end - first;
    void *input = row_of(e, room->input, first, width);
    void *hidden = row_of(e, room->hidden, first, mlp);
    x += first * width;
    member_see(m, "attention", block, input, n, width);
    member_linear(m, b->out, input, x, n);
    member_see(m, "middle", block, x, n, width);
    member_norm(
        m, &b->ln2, x, n, room->staged ? room->staged + first * width : NULL, input);
    member_see(m, "ln2", block, input, n, width);
    member_linear(m, b->fc1, input, hidden, n);
    member_see(m, "activation", block, hidden, n, mlp);
    member_linear(m, b->fc2, hidden, x, n);
    member_see(m, "block", block, x, n, width);
}

void encoder_run(const struct encoder *e, struct member *m, struct room *room)
{
    size_t width = e->tower.width, n_blocks = e->tower.n_layers, first, end;
    member_share(m, room->n_rows, &first, &end);
    void *input = row_of(e, room->input, first, width);
    for (size_t i = 0; i < n_blocks; i++) {
        const struct encoder_block *b = &e->blocks[i];
        float *qkv = room->qkv[i % 2];
        member_norm(m, &b->ln1, room->x + first * width, end - first,
            room->staged ? room->staged + first * width : NULL, input);
        member_see(m, "ln1", i, input, end - first, width);
        member_linear(m, b->qkv, input, qkv + first * 3 * width, end - first);
        /* Keys and values of others are read from here on; the next block writes into the
         * other qkv, and comes to its own meeting before this one is written again. */
        if (m->size > 1)
            team_meet(m->team);
        if (i + 1 < n_blocks) {
            attend(e, m, room, qkv, first, end);
            run_rest(e, m, room, i, room->x, first, end);
        }
    }
    member_share(m, room->n_sequences, &first, &end);
    attend_pooled(e, m, room, room->qkv[(n_blocks - 1) % 2], first, end);
    run_rest(e, m, room, n_blocks - 1, room->top, first, end);
}
