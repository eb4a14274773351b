/* clip_checkpoint.c - CLIP folders with random weights, for tests and benchmarks. */
#include "tests/support/clip_checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"

#define MAX_TEXT ((size_t)16 << 20)
#define BLOCK 4096

/* A tensor to be written: mean + spread * uniform[-1, 1). */
struct plan {
    char name[96];
    uint64_t dims[4];
    size_t n_dims;
    double mean, spread;
};

struct plans {
    struct plan *list;
    size_t n, size;
};

static void stop(const char *what)
{
    fprintf(stderr, "clip_checkpoint: %s\n", what);
    abort();
}

struct clip_checkpoint clip_checkpoint_small(void)
{
    return (struct clip_checkpoint) {
        .config = { .text = { 32, 2, 2, 80, CLIP_QUICK_GELU, 1e-5f },
            .image = { 48, 3, 2, 96, CLIP_QUICK_GELU, 1e-5f },
            .context = 77,
            .vocab = CLIP_CHECKPOINT_MIN_VOCAB,
            .image_size = 32,
            .patch = 8,
            .projection = 24 },
        .type = TENSOR_F32,
        .seed = 1,
    };
}

struct clip_checkpoint clip_checkpoint_b32(void)
{
    return (struct clip_checkpoint) {
        .config = { .text = { 512, 8, 12, 2048, CLIP_QUICK_GELU, 1e-5f },
            .image = { 768, 12, 12, 3072, CLIP_QUICK_GELU, 1e-5f },
            .context = 77,
            .vocab = 49408,
            .image_size = 224,
            .patch = 32,
            .projection = 512 },
        .type = TENSOR_F32,
        .seed = 1,
    };
}

struct clip_checkpoint clip_checkpoint_l14(void)
{
    return (struct clip_checkpoint) {
        .config = { .text = { 768, 12, 12, 3072, CLIP_QUICK_GELU, 1e-5f },
            .image = { 1024, 16, 24, 4096, CLIP_QUICK_GELU, 1e-5f },
            .context = 77,
            .vocab = 49408,
            .image_size = 224,
            .patch = 14,
            .projection = 768 },
        .type = TENSOR_F32,
        .seed = 1,
    };
}

/* --- which tensors there are --- */

/* dims end with a 0. */
PRINTF_LIKE(5, 6)
static void plan(struct plans *p, const uint64_t *dims, double mean, double spread,
    const char *fmt, ...)
{
    if (p->n == p->size) {
        p->size = p->size ? 2 * p->size : 128;
        struct plan *list = realloc(p->list, p->size * sizeof *list);
        if (!list)
            stop("no memory");
        p->list = list;
    }
    struct plan *x = &p->list[p->n++];
    *x = (struct plan) { .mean = mean, .spread = spread };
    for (; dims[x->n_dims]; x->n_dims++)
        x->dims[x->n_dims] = dims[x->n_dims];
    va_list args;
    va_start(args, fmt);
    vsnprintf(x->name, sizeof x->name, fmt, args);
    va_end(args);
}

/* Rows of unit variance stay so: a spread of sqrt(3 / n_in) has the deviation
 * 1 / sqrt(n_in). */
static void plan_linear(
    struct plans *p, const char *name, uint64_t n_out, uint64_t n_in, int with_bias)
{
    plan(p, (uint64_t[]) { n_out, n_in, 0 }, 0, sqrt(3.0 / (double)n_in), "%s.weight",
        name);
    if (with_bias)
        plan(p, (uint64_t[]) { n_out, 0 }, 0, 0.1, "%s.bias", name);
}

static void plan_norm(struct plans *p, const char *name, uint64_t width)
{
    plan(p, (uint64_t[]) { width, 0 }, 1, 0.2, "%s.weight", name);
    plan(p, (uint64_t[]) { width, 0 }, 0, 0.1, "%s.bias", name);
}

static void plan_blocks(struct plans *p, const char *model, const struct clip_tower *t)
{
    static const char *const linear[] = { "q_proj", "k_proj", "v_proj", "out_proj" };
    char name[96];
    for (uint32_t i = 0; i < t->n_layers; i++) {
        for (int norm = 1; norm <= 2; norm++) {
            snprintf(
                name, sizeof name, "%s.encoder.layers.%u.layer_norm%d", model, i, norm);
            plan_norm(p, name, t->width);
        }
        for (size_t j = 0; j < COUNT_OF(linear); j++) {
            snprintf(name, sizeof name, "%s.encoder.layers.%u.self_attn.%s", model, i,
                linear[j]);
            plan_linear(p, name, t->width, t->width, 1);
        }
        snprintf(name, sizeof name, "%s.encoder.layers.%u.mlp.fc1", model, i);
        plan_linear(p, name, t->mlp, t->width, 1);
        snprintf(name, sizeof name, "%s.encoder.layers.%u.mlp.fc2", model, i);
        plan_linear(p, name, t->width, t->mlp, 1);
    }
}

static void plan_all(struct plans *p, const struct clip_config *c)
{
    uint64_t text = c->text.width, image = c->image.width, patch = c->patch;
    uint64_t side = c->image_size / patch, n_in = 3 * patch * patch;
    plan(p, (uint64_t[]) { 0 }, 4.6, 0, "logit_scale");
    plan(p, (uint64_t[]) { c->context, text, 0 }, 0, 0.5,
        "text_model.embeddings.position_embedding.weight");
    plan(p, (uint64_t[]) { c->vocab, text, 0 }, 0, 1.5,
        "text_model.embeddings.token_embedding.weight");
    plan_blocks(p, "text_model", &c->text);
    plan_norm(p, "text_model.final_layer_norm", text);
    plan_linear(p, "text_projection", c->projection, text, 0);

    plan(p, (uint64_t[]) { image, 0 }, 0, 1, "vision_model.embeddings.class_embedding");
    plan(p, (uint64_t[]) { image, 3, patch, patch, 0 }, 0, sqrt(3.0 / (double)n_in),
        "vision_model.embeddings.patch_embedding.weight");
    plan(p, (uint64_t[]) { side * side + 1, image, 0 }, 0, 0.5,
        "vision_model.embeddings.position_embedding.weight");
    plan_norm(p, "vision_model.pre_layrnorm", image); /* Hugging Face's spelling */
    plan_blocks(p, "vision_model", &c->image);
    plan_norm(p, "vision_model.post_layernorm", image);
    plan_linear(p, "visual_projection", c->projection, image, 0);
}

/* --- the weights --- */

static uint64_t count_of(const struct plan *x)
{
    uint64_t n = 1;
    for (size_t i = 0; i < x->n_dims; i++)
        n *= x->dims[i];
    return n;
}

/* Round to nearest, ties to even; x is below 65504. */
static uint16_t to_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000;
    double magnitude = fabs((double)x);
    int e;
    if (magnitude < 0x1p-14) /* a subnormal half counts in units of 2^-24 */
        return (uint16_t)(sign | (uint32_t)nearbyint(magnitude * 0x1p24));
    double fraction = frexp(magnitude, &e); /* [0.5, 1), 11 bits of it are kept */
    uint32_t kept = (uint32_t)nearbyint(fraction * 2048);
    return (uint16_t)(sign | ((uint32_t)(e + 13) * 1024 + kept));
}

static uint16_t to_bfloat(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void write_tensor(
    FILE *f, const struct plan *x, enum tensor_type type, uint64_t seed)
{
    struct rng rng;
    float block[BLOCK];
    uint16_t halves[BLOCK];
    rng_init(&rng, seed, x->name, 0);
    for (uint64_t left = count_of(x); left > 0;) {
        size_t n = left < BLOCK ? (size_t)left : BLOCK;
        for (size_t i = 0; i < n; i++) {
            block[i] = (float)(x->mean + x->spread * (2 * rng_uniform(&rng) - 1));
            halves[i] = type == TENSOR_BF16  ? to_bfloat(block[i])
                        : type == TENSOR_F16 ? to_half(block[i])
                                             : 0;
        }
        const void *data = type == TENSOR_F32 ? (void *)block : (void *)halves;
        if (fwrite(data, tensor_type_bytes(type), n, f) != n)
            stop("cannot write weights");
        left -= n;
    }
}

/* position_ids stand in front, I64 in files of any type, as in OpenAI's own files. */
static void write_shard(const char *path, const struct clip_checkpoint *how,
    const struct plans *p, size_t first, size_t end)
{
    struct buffer header;
    uint64_t at = 0, n_ids = first == 0 ? how->config.context : 0;
    buffer_init(&header, MAX_TEXT);
    buffer_add_str(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    if (n_ids) {
        at = 8 * n_ids;
        buffer_printf(&header,
            ",\"text_model.embeddings.position_ids\":{\"dtype\":\"I64\",\"shape\":[1,"
            "%" PRIu64 "],\"data_offsets\":[0,%" PRIu64 "]}",
            n_ids, at);
    }
    for (size_t i = first; i < end; i++) {
        const struct plan *x = &p->list[i];
        uint64_t n = count_of(x) * tensor_type_bytes(how->type);
        buffer_printf(&header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", x->name,
            tensor_type_name(how->type));
        for (size_t d = 0; d < x->n_dims; d++)
            buffer_printf(&header, "%s%" PRIu64, d ? "," : "", x->dims[d]);
        buffer_printf(
            &header, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + n);
        at += n;
    }
    buffer_add_char(&header, '}');
    while (header.len % 8 != (how->misplaced ? 1 : 0))
        buffer_add_char(&header, ' ');

    FILE *f = fopen(path, "wb");
    uint64_t n_header = header.len;
    if (!f || buffer_status(&header, "header", NULL) != OK ||
        fwrite(&n_header, sizeof n_header, 1, f) != 1 ||
        fwrite(header.data, header.len, 1, f) != 1)
        stop("cannot write the header of weights");
    for (int64_t id = 0; id < (int64_t)n_ids; id++)
        if (fwrite(&id, sizeof id, 1, f) != 1)
            stop("cannot write position_ids");
    for (size_t i = first; i < end; i++)
        write_tensor(f, &p->list[i], how->type, how->seed);
    if (fclose(f) != 0)
        stop("cannot write weights");
    buffer_release(&header);
}

static void write_text(const char *dir, const char *name, struct buffer *text)
{
    char *path = path_join(dir, name);
    if (!path || buffer_status(text, name, NULL) != OK ||
        file_write(path, text->data, text->len, NULL) != OK)
        stop("cannot write a file of the folder");
    free(path);
    buffer_clear(text);
}

static void write_weights(
    const char *dir, const struct clip_checkpoint *how, struct buffer *text)
{
    struct plans p = { NULL, 0, 0 };
    plan_all(&p, &how->config);
    unsigned n_shards = how->n_shards ? how->n_shards : 1;
    buffer_add_str(text, "{\"metadata\": {\"total_size\": 0}, \"weight_map\": {");
    for (unsigned i = 0; i < n_shards; i++) {
        size_t first = p.n * i / n_shards, end = p.n * (i + 1) / n_shards;
        char name[64];
        if (how->n_shards)
            snprintf(
                name, sizeof name, "model-%05u-of-%05u.safetensors", i + 1, n_shards);
        else
            snprintf(name, sizeof name, "model.safetensors");
        char *path = path_join(dir, name);
        write_shard(path ? path : "", how, &p, first, end);
        free(path);
        if (i == 0)
            buffer_printf(text, "\"text_model.embeddings.position_ids\": \"%s\"", name);
        for (size_t j = first; j < end; j++)
            buffer_printf(text, ", \"%s\": \"%s\"", p.list[j].name, name);
    }
    buffer_add_str(text, "}}\n");
    if (how->n_shards)
        write_text(dir, "model.safetensors.index.json", text);
    buffer_clear(text);
    free(p.list);
}

/* --- the other files --- */

static void add_tower(struct buffer *b, const char *name, const struct clip_tower *t)
{
    buffer_printf(b,
        "  \"%s\": {\n    \"hidden_size\": %u,\n    \"num_attention_heads\": %u,\n"
        "    \"num_hidden_layers\": %u,\n    \"intermediate_size\": %u,\n"
        "    \"hidden_act\": \"%s\",\n    \"layer_norm_eps\": %.9g,\n",
        name, t->width, t->n_heads, t->n_layers, t->mlp,
        t->activation == CLIP_GELU ? "gelu" : "quick_gelu", (double)t->layer_norm_eps);
}

static void write_config(const char *dir, const struct clip_config *c, struct buffer *b)
{
    buffer_printf(b,
        "{\n  \"architectures\": [\"CLIPModel\"],\n  \"model_type\": \"clip\",\n"
        "  \"projection_dim\": %u,\n",
        c->projection);
    add_tower(b, "text_config", &c->text);
    buffer_printf(b,
        "    \"max_position_embeddings\": %u,\n    \"vocab_size\": %u,\n"
        "    \"bos_token_id\": 0,\n    \"eos_token_id\": 2\n  },\n",
        c->context, c->vocab);
    add_tower(b, "vision_config", &c->image);
    buffer_printf(b, "    \"image_size\": %u,\n    \"patch_size\": %u\n  }\n}\n",
        c->image_size, c->patch);
    write_text(dir, "config.json", b);
}

static void write_preparation(
    const char *dir, const struct clip_checkpoint *how, struct buffer *b)
{
    unsigned s = how->config.image_size;
    buffer_add_str(b, "{\n  \"do_center_crop\": true,\n  \"do_normalize\": true,\n"
                      "  \"do_resize\": true,\n  \"resample\": 3,\n"
                      "  \"image_mean\": [0.48145466, 0.4578275, 0.40821073],\n"
                      "  \"image_std\": [0.26862954, 0.26130258, 0.27577711],\n");
    if (how->old_style)
        buffer_printf(b,
            "  \"feature_extractor_type\": \"CLIPFeatureExtractor\",\n"
            "  \"crop_size\": %u,\n  \"size\": %u\n}\n",
            s, s);
    else
        buffer_printf(b,
            "  \"image_processor_type\": \"CLIPImageProcessor\",\n"
            "  \"do_convert_rgb\": true,\n  \"do_rescale\": true,\n"
            "  \"rescale_factor\": 0.00392156862745098,\n"
            "  \"crop_size\": {\"height\": %u, \"width\": %u},\n"
            "  \"size\": {\"shortest_edge\": %u}\n}\n",
            s, s, s);
    write_text(dir, "preprocessor_config.json", b);
}

/* Bytes stand for themselves where they print (in Latin-1), else for U+0100 and up: the
 * alphabet of GPT-2's and CLIP's tokenizers, in its order. */
static size_t make_alphabet(unsigned alphabet[256])
{
    size_t n = 0;
    int taken[256] = { 0 };
    for (unsigned c = 0; c < 256; c++) {
        if ((c >= '!' && c <= '~') || (c >= 0xa1 && c <= 0xac) || c >= 0xae) {
            taken[c] = 1;
            alphabet[n++] = c;
        }
    }
    for (unsigned c = 0, next = 256; c < 256; c++)
        if (!taken[c])
            alphabet[n++] = next++;
    return n;
}

static void add_symbol(struct buffer *b, unsigned c, const char *end, unsigned id)
{
    buffer_add_str(b, id ? ",\"" : "\"");
    if (c == '"' || c == '\\')
        buffer_add_char(b, '\\');
    if (c < 0x80) {
        buffer_add_char(b, (char)c);
    } else {
        buffer_add_char(b, (char)(0xc0 | c >> 6));
        buffer_add_char(b, (char)(0x80 | (c & 0x3f)));
    }
    buffer_printf(b, "%s\":%u", end, id);
}

static void write_vocabulary(const char *dir, unsigned vocab, struct buffer *b)
{
    static const char *const merges[CLIP_CHECKPOINT_N_MERGES][2] = { { "t", "h" },
        { "th", "e</w>" }, { "i", "n" }, { "in", "g</w>" }, { "a", "n" }, { "c", "u" },
        { "cu", "p</w>" }, { "p", "h" }, { "ph", "o" }, { "t", "o</w>" },
        { "pho", "to</w>" }, { "o", "f</w>" } };
    unsigned alphabet[256], id = 0;
    size_t n = make_alphabet(alphabet);
    buffer_add_char(b, '{');
    for (size_t i = 0; i < n; i++)
        add_symbol(b, alphabet[i], "", id++);
    for (size_t i = 0; i < n; i++)
        add_symbol(b, alphabet[i], "</w>", id++);
    for (size_t i = 0; i < CLIP_CHECKPOINT_N_MERGES; i++)
        buffer_printf(b, ",\"%s%s\":%u", merges[i][0], merges[i][1], id++);
    for (; id < vocab - 2; id++)
        buffer_printf(b, ",\"<|unused%u|>\":%u", id, id);
    buffer_printf(
        b, ",\"<|startoftext|>\":%u,\"<|endoftext|>\":%u}", vocab - 2, vocab - 1);
    write_text(dir, "vocab.json", b);

    buffer_add_str(b, "#version: 0.2\n");
    for (size_t i = 0; i < CLIP_CHECKPOINT_N_MERGES; i++)
        buffer_printf(b, "%s %s\n", merges[i][0], merges[i][1]);
    write_text(dir, "merges.txt", b);
}

void clip_checkpoint_write(const char *dir, const struct clip_checkpoint *how)
{
    if (how->config.vocab < CLIP_CHECKPOINT_MIN_VOCAB)
        stop("vocab is below CLIP_CHECKPOINT_MIN_VOCAB");
    struct buffer text;
    buffer_init(&text, MAX_TEXT);
    if (folder_make(dir, NULL) != OK)
        stop("cannot make the folder");
    write_weights(dir, how, &text);
    write_config(dir, &how->config, &text);
    write_preparation(dir, how, &text);
    write_vocabulary(dir, how->config.vocab, &text);
    buffer_release(&text);
}
