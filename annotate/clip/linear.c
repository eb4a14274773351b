/* linear.c - oneDNN's matrix product with packed weights.
 *
 * Chosen by measurement (docs/benchmarks.md): on AVX-512 it reaches 100 to 115 GFLOP/s a
 * thread at every shape of CLIP from 10 rows on, twice that in bfloat16, and the packed
 * layout does not depend on the number of rows.  A result that does not lie without gaps
 * would send it to a slower kernel, so rows are shared out between threads, never columns. */
#include "annotate/clip/linear.h"

#include <dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS                                                                            \
    4096 /* products a lane keeps; beyond three quarters of it all are made anew */
#define ALIGN 64

/* Of OpenMP, which oneDNN is built with; clang comes without its header. */
extern void omp_set_num_threads(int n);

struct linear_engine {
    dnnl_engine_t engine;
    pthread_mutex_t lock; /* while a product is made; oneDNN shares what it compiles */
};

struct linear {
    struct linear_spec spec;
    dnnl_memory_desc_t layout; /* of the packed weights */
    void *packed;
    float *bias;
    dnnl_memory_t weight_memory, bias_memory;
};

/* A product for one shape, with the descriptions of its ends. */
struct product {
    struct linear_spec spec;
    size_t n_rows; /* 0 = the slot is free */
    int with_bias;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, y;
};

struct linear_lane {
    struct linear_engine *engine;
    dnnl_stream_t stream;
    struct product slots[SLOTS];
    size_t n_used;
};

static enum status failed(struct error *err, const char *what, dnnl_status_t s)
{
    if (s == dnnl_out_of_memory)
        return error_set(err, E_NOMEM, "oneDNN: no memory for %s", what);
    return error_set(err, E_IO, "oneDNN could not make %s (its status %d)", what, (int)s);
}

/* --- engine and lanes --- */

void linear_thread_init(void)
{
    omp_set_num_threads(1);
}

static void layout_rows(
    dnnl_memory_desc_t *out, size_t rows, size_t columns, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = { (dnnl_dim_t)rows, (dnnl_dim_t)columns };
    (void)dnnl_memory_desc_init_by_tag(out, 2, dims, type, dnnl_ab);
}

static dnnl_status_t set_attributes(
    const struct linear_spec *spec, dnnl_primitive_attr_t attributes)
{
    dnnl_post_ops_t then = NULL;
    dnnl_status_t s = dnnl_post_ops_create(&then);
    if (s == dnnl_success && spec->form == LINEAR_ADD)
        s = dnnl_post_ops_append_sum(then, 1.0f);
    if (s == dnnl_success && spec->form == LINEAR_QUICK_GELU)
        s = dnnl_post_ops_append_eltwise(then, 1.0f, dnnl_eltwise_swish, 1.702f, 0.0f);
    if (s == dnnl_success && spec->form == LINEAR_GELU)
        s = dnnl_post_ops_append_eltwise(then, 1.0f, dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_post_ops(attributes, then);
    dnnl_post_ops_destroy(then);
    return s;
}

/* Describe the product of spec for n_rows.  weights NULL: oneDNN chooses their layout. */
static dnnl_status_t describe(dnnl_engine_t engine, const struct linear_spec *spec,
    size_t n_rows, int with_bias, const dnnl_memory_desc_t *weights,
    dnnl_primitive_desc_t *out)
{
    dnnl_data_type_t type = spec->bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t x, w, b, y;
    layout_rows(&x, n_rows, spec->n_in, type);
    layout_rows(&b, 1, spec->n_out, dnnl_f32);
    layout_rows(&y, n_rows, spec->n_out, spec->bf16_out ? dnnl_bf16 : dnnl_f32);
    const dnnl_dims_t dims = { (dnnl_dim_t)spec->n_in, (dnnl_dim_t)spec->n_out };
    dnnl_status_t s = dnnl_success;
    if (weights)
        w = *weights;
    else
        s = dnnl_memory_desc_init_by_tag(&w, 2, dims, type, dnnl_format_tag_any);
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_attr_t attributes = NULL;
    if (s == dnnl_success)
        s = dnnl_matmul_desc_init(&matmul, &x, &w, with_bias ? &b : NULL, &y);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_create(&attributes);
    if (s == dnnl_success)
        s = set_attributes(spec, attributes);
    if (s == dnnl_success)
        s = dnnl_primitive_desc_create(out, &matmul, attributes, engine, NULL);
    dnnl_primitive_attr_destroy(attributes);
    return s;
}

static int has_bf16(void)
{
#if defined(__x86_64__) && defined(__has_builtin)
#if __has_builtin(__builtin_cpu_supports)
    return __builtin_cpu_supports("avx512bf16") != 0;
#endif
#endif
    return 0;
}

enum status linear_engine_new(int bf16, struct linear_engine **out, struct error *err)
{
    *out = NULL;
    if (bf16 && !has_bf16())
        return error_set(err, E_ARG,
            "this processor has no instructions for bfloat16 (AVX512_BF16): leave the "
            "precision at f32");
    struct linear_engine *e = calloc(1, sizeof *e);
    if (!e)
        return error_nomem(err, sizeof *e);
    pthread_mutex_init(&e->lock, NULL);
    dnnl_status_t s = dnnl_engine_create(&e->engine, dnnl_cpu, 0);
    if (s != dnnl_success) {
        linear_engine_free(e);
        return failed(err, "an engine", s);
    }
    *out = e;
    return OK;
}

void linear_engine_free(struct linear_engine *e)
{
    if (!e)
        return;
    if (e->engine)
        dnnl_engine_destroy(e->engine);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

enum status linear_lane_new(
    struct linear_engine *e, struct linear_lane **out, struct error *err)
{
    *out = NULL;
    struct linear_lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return error_nomem(err, sizeof *lane);
    lane->engine = e;
    dnnl_status_t s = dnnl_stream_create(&lane->stream, e->engine, dnnl_stream_in_order);
    if (s != dnnl_success) {
        free(lane);
        return failed(err, "a stream", s);
    }
    *out = lane;
    return OK;
}

static void forget_products(struct linear_lane *lane)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct product *p = &lane->slots[i];
        if (!p->n_rows)
            continue;
        dnnl_primitive_destroy(p->primitive);
        dnnl_memory_destroy(p->x);
        dnnl_memory_destroy(p->y);
        *p = (struct product) { .n_rows = 0 };
    }
    lane->n_used = 0;
}

void linear_lane_free(struct linear_lane *lane)
{
    if (!lane)
        return;
    forget_products(lane);
    dnnl_stream_destroy(lane->stream);
    free(lane);
}

/* --- packing --- */

/* The parts below each other, [N][K]. */
static float *gather(
    const struct linear_spec *spec, const struct linear_part *parts, size_t n_parts)
{
    float *all = malloc(spec->n_out * spec->n_in * sizeof *all), *at = all;
    for (size_t i = 0; all && i < n_parts; i++) {
        size_t n = parts[i].n_out * spec->n_in;
        memcpy(at, parts[i].weight, n * sizeof *all);
        at += n;
    }
    return all;
}

static dnnl_status_t reorder(
    struct linear_lane *lane, const struct linear *l, const float *weight)
{
    dnnl_engine_t engine = lane->engine->engine;
    const dnnl_dims_t dims = { (dnnl_dim_t)l->spec.n_in, (dnnl_dim_t)l->spec.n_out };
    dnnl_memory_desc_t plain;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_status_t s =
        dnnl_memory_desc_init_by_tag(&plain, 2, dims, dnnl_f32, dnnl_ba); // [N][K]
    if (s == dnnl_success) // the library only reads it
        s = dnnl_memory_create(&from, &plain, engine, (void *)(uintptr_t)weight);
    if (s == dnnl_success)
        s = dnnl_reorder_primitive_desc_create(
            &description, &plain, engine, &l->layout, engine, NULL);
    if (s == dnnl_success)
        s = dnnl_primitive_create(&primitive, description);
    if (s == dnnl_success) {
        const dnnl_exec_arg_t args[2] = { { DNNL_ARG_FROM, from },
            { DNNL_ARG_TO, l->weight_memory } };
        s = dnnl_primitive_execute(primitive, lane->stream, 2, args);
    }
    if (s == dnnl_success)
        s = dnnl_stream_wait(lane->stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(description);
    dnnl_memory_destroy(from);
    return s;
}

/* The layout of the packed weights, and memory for them. */
static enum status make_room(
    struct linear_lane *lane, struct linear *l, int with_bias, struct error *err)
{
    dnnl_engine_t engine = lane->engine->engine;
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t s = describe(engine, &l->spec, 64, with_bias, NULL, &description);
    if (s != dnnl_success)
        return failed(err, "a matrix product", s);
    l->layout = *dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0);
    dnnl_primitive_desc_destroy(description);

    size_t n = (dnnl_memory_desc_get_size(&l->layout) + ALIGN - 1) / ALIGN * ALIGN;
    l->packed = aligned_alloc(ALIGN, n);
    if (!l->packed)
        return error_nomem(err, n);
    s = dnnl_memory_create(&l->weight_memory, &l->layout, engine, l->packed);
    if (s == dnnl_success && with_bias) {
        dnnl_memory_desc_t b;
        layout_rows(&b, 1, l->spec.n_out, dnnl_f32);
        l->bias = malloc(l->spec.n_out * sizeof *l->bias);
        if (!l->bias)
            return error_nomem(err, l->spec.n_out * sizeof *l->bias);
        s = dnnl_memory_create(&l->bias_memory, &b, engine, l->bias);
    }
    return s == dnnl_success ? OK : failed(err, "memory", s);
}

enum status linear_new(struct linear_lane *lane, const struct linear_spec *spec,
    const struct linear_part *parts, size_t n_parts, struct linear **out,
    struct error *err)
{
    *out = NULL;
    struct linear *l = calloc(1, sizeof *l);
    if (!l)
        return error_nomem(err, sizeof *l);
    l->spec = *spec;
    enum status s = make_room(lane, l, parts[0].bias != NULL, err);
    const float *weight = parts[0].weight;
    float *gathered = NULL;
    if (s == OK && n_parts > 1) {
        weight = gathered = gather(spec, parts, n_parts);
        if (!gathered)
            s = error_nomem(err, spec->n_out * spec->n_in * sizeof *gathered);
    }
    if (s == OK) {
        dnnl_status_t packed = reorder(lane, l, weight);
        if (packed != dnnl_success)
            s = failed(err, "packed weights", packed);
    }
    float *at = l->bias;
    for (size_t i = 0; s == OK && at && i < n_parts && parts[i].bias; i++) {
        memcpy(at, parts[i].bias, parts[i].n_out * sizeof *at);
        at += parts[i].n_out;
    }
    free(gathered);
    if (s) {
        linear_free(l);
        return s;
    }
    *out = l;
    return OK;
}

void linear_free(struct linear *l)
{
    if (!l)
        return;
    dnnl_memory_destroy(l->weight_memory);
    dnnl_memory_destroy(l->bias_memory);
    free(l->packed);
    free(l->bias);
    free(l);
}

/* --- products --- */

static int same_product(const struct product *p, const struct linear *l, size_t n_rows)
{
    const struct linear_spec *a = &p->spec, *b = &l->spec;
    return p->n_rows == n_rows && a->n_in == b->n_in && a->n_out == b->n_out &&
           a->form == b->form && a->bf16 == b->bf16 && a->bf16_out == b->bf16_out &&
           p->with_bias == (l->bias != NULL);
}

static enum status make_product(struct linear_lane *lane, const struct linear *l,
    size_t n_rows, struct product *out, struct error *err)
{
    const struct linear_spec *spec = &l->spec;
    dnnl_engine_t engine = lane->engine->engine;
    dnnl_memory_desc_t x, y;
    layout_rows(&x, n_rows, spec->n_in, spec->bf16 ? dnnl_bf16 : dnnl_f32);
    layout_rows(&y, n_rows, spec->n_out, spec->bf16_out ? dnnl_bf16 : dnnl_f32);
    struct product p = { .spec = *spec, .n_rows = n_rows, .with_bias = l->bias != NULL };
    dnnl_primitive_desc_t description = NULL;
    pthread_mutex_lock(&lane->engine->lock);
    dnnl_status_t s =
        describe(engine, spec, n_rows, p.with_bias, &l->layout, &description);
    if (s == dnnl_success)
        s = dnnl_primitive_create(&p.primitive, description);
    if (s == dnnl_success)
        s = dnnl_memory_create(&p.x, &x, engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success)
        s = dnnl_memory_create(&p.y, &y, engine, DNNL_MEMORY_NONE);
    dnnl_primitive_desc_destroy(description);
    pthread_mutex_unlock(&lane->engine->lock);
    if (s != dnnl_success) {
        dnnl_primitive_destroy(p.primitive);
        dnnl_memory_destroy(p.x);
        dnnl_memory_destroy(p.y);
        return failed(err, "a matrix product", s);
    }
    *out = p;
    lane->n_used++;
    return OK;
}

static enum status find_product(struct linear_lane *lane, const struct linear *l,
    size_t n_rows, struct product **out, struct error *err)
{
    const struct linear_spec *spec = &l->spec;
    size_t at = (n_rows * 31 + spec->n_in) * 31 + spec->n_out;
    at = (at * 8 + (size_t)spec->form) * 0x9e3779b97f4a7c15u >> 40;
    for (;; at++) {
        struct product *p = &lane->slots[at % SLOTS];
        if (!p->n_rows && lane->n_used >= SLOTS / 4 * 3)
            forget_products(lane);
        *out = p;
        if (!p->n_rows)
            return make_product(lane, l, n_rows, p, err);
        if (same_product(p, l, n_rows))
            return OK;
    }
}

enum status linear_run(struct linear_lane *lane, const struct linear *l, const void *x,
    void *y, size_t n_rows, struct error *err)
{
    struct product *p = NULL;
    if (!n_rows)
        return OK;
    enum status s = find_product(lane, l, n_rows, &p, err);
    if (s)
        return s;
    dnnl_exec_arg_t args[4] = { { DNNL_ARG_SRC, p->x },
        { DNNL_ARG_WEIGHTS, l->weight_memory }, { DNNL_ARG_DST, p->y },
        { DNNL_ARG_BIAS, l->bias_memory } };
    dnnl_status_t done = dnnl_memory_set_data_handle(p->x, (void *)(uintptr_t)x);
    if (done == dnnl_success)
        done = dnnl_memory_set_data_handle(p->y, y);
    if (done == dnnl_success)
        done = dnnl_primitive_execute(p->primitive, lane->stream, l->bias ? 4 : 3, args);
    return done == dnnl_success ? OK : failed(err, "a matrix product", done);
}
