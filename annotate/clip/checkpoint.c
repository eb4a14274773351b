/* checkpoint.c - what a CLIP folder says about itself, and the identity of the model. */
#include "annotate/clip/checkpoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

#define CONFIG_FILE "config.json"
#define PREPROCESSOR_FILE "preprocessor_config.json"
#define MAX_JSON_BYTES ((size_t)1 << 20)
#define MAX_VOCABULARY_BYTES ((size_t)64 << 20)
#define IDENTITY_PREFIX "m4a1 clip 1\n"

/* An object of a file while its fields are read.  The first mistake is kept in status;
 * later reads do nothing, so that a run of reads is checked once. */
struct fields {
    const struct json *object; /* NULL: every field is missing */
    const char *file, *at;     /* at: the object's own key; "" for the whole file */
    enum status status;
    struct error *err;
};

static void refuse(
    struct fields *f, const char *key, const struct json *found, const char *expected)
{
    struct buffer text;
    buffer_init(&text, 4096);
    enum status printed = json_print(found, JSON_COMPACT, &text, NULL);
    f->status = error_set(f->err, E_DATA, "%s: %s%s%s is %.200s; expected %s", f->file,
        f->at, f->at[0] && key[0] ? "." : "", key,
        printed == OK ? buffer_str(&text) : "too long", expected);
    buffer_release(&text);
}

/* A number that must be a multiple of another. */
static void expect_multiple(
    struct fields *f, const char *key, uint32_t x, const char *of_key, uint32_t of)
{
    if (!f->status && x % of)
        f->status =
            error_set(f->err, E_DATA, "%s: %s.%s is %u; expected a multiple of %s, %u",
                f->file, f->at, key, x, of_key, of);
}

/* A member, or NULL where it is missing or null and so has its default. */
static const struct json *field(const struct fields *f, const char *key)
{
    const struct json *j = f->status ? NULL : json_get(f->object, key);
    return json_is_null(j) ? NULL : j;
}

static uint32_t read_count(
    struct fields *f, const char *key, uint32_t otherwise, uint32_t min, uint32_t max)
{
    const struct json *j = f->status ? NULL : json_get(f->object, key);
    if (!j)
        return otherwise;
    int64_t x = json_int(j, -1);
    if (x >= min && x <= max)
        return (uint32_t)x;
    char expected[64];
    snprintf(expected, sizeof expected, "a whole number from %u to %u", min, max);
    refuse(f, key, j, expected);
    return otherwise;
}

static void expect_true(struct fields *f, const char *key)
{
    const struct json *j = field(f, key);
    if (j && !json_bool(j, 0))
        refuse(f, key, j, "true: only CLIP's own preparation of images is computed here");
}

static void read_activation(struct fields *f, enum clip_activation *out)
{
    const struct json *j = field(f, "hidden_act");
    *out = CLIP_QUICK_GELU;
    if (!j || text_equal(json_text(j, NULL), "quick_gelu"))
        return;
    if (text_equal(json_text(j, NULL), "gelu"))
        *out = CLIP_GELU;
    else
        refuse(f, "hidden_act", j, "\"quick_gelu\" or \"gelu\"");
}

/* --- config.json --- */

static void read_tower(struct fields *f, struct clip_tower *tower)
{
    struct clip_tower d = *tower; /* the defaults */
    tower->width = read_count(f, "hidden_size", d.width, 1, CLIP_MAX_WIDTH);
    tower->n_heads = read_count(f, "num_attention_heads", d.n_heads, 1, CLIP_MAX_WIDTH);
    tower->n_layers = read_count(f, "num_hidden_layers", d.n_layers, 1, CLIP_MAX_LAYERS);
    tower->mlp = read_count(f, "intermediate_size", d.mlp, 1, CLIP_MAX_MLP);
    read_activation(f, &tower->activation);
    const struct json *eps = field(f, "layer_norm_eps");
    double x = json_number(eps, 1e-5);
    tower->layer_norm_eps = (float)x;
    if (eps && (!json_is_number(eps) || !(x >= 1e-12 && x <= 0.1)))
        refuse(f, "layer_norm_eps", eps, "a number from 1e-12 to 0.1");
    expect_multiple(
        f, "hidden_size", tower->width, "num_attention_heads", tower->n_heads);
}

/* The object of a tower: NAME_config_dict where it is one (transformers builds the tower
 * from it alone), else NAME_config. */
static struct fields tower_fields(
    const struct fields *root, const char *plain, const char *dict)
{
    struct fields f = *root;
    const struct json *j = field(root, dict);
    f.at = j ? dict : plain;
    f.object = j ? j : field(root, plain);
    if (f.object && !json_is_object(f.object))
        refuse(&f, "", f.object, "an object");
    return f;
}

static void read_config(struct fields *root, struct clip_config *out)
{
    *out = (struct clip_config) {
        .text = { .width = 512, .n_heads = 8, .n_layers = 12, .mlp = 2048 },
        .image = { .width = 768, .n_heads = 12, .n_layers = 12, .mlp = 3072 },
    };
    const struct json *type = field(root, "model_type");
    if (type && !text_equal(json_text(type, NULL), "clip"))
        refuse(root, "model_type", type, "\"clip\": a CLIP model with both towers");
    out->projection = read_count(root, "projection_dim", 512, 1, CLIP_MAX_WIDTH);
    if (root->status)
        return;

    struct fields f = tower_fields(root, "text_config", "text_config_dict");
    read_tower(&f, &out->text);
    out->context = read_count(&f, "max_position_embeddings", 77, 3, CLIP_CONTEXT);
    out->vocab = read_count(&f, "vocab_size", 49408, 3, CLIP_MAX_VOCAB);
    root->status = f.status;
    if (root->status)
        return;

    f = tower_fields(root, "vision_config", "vision_config_dict");
    read_tower(&f, &out->image);
    out->image_size = read_count(&f, "image_size", 224, 1, CLIP_MAX_IMAGE);
    out->patch = read_count(&f, "patch_size", 32, 1, CLIP_MAX_IMAGE);
    (void)read_count(&f, "num_channels", 3, 3, 3);
    expect_multiple(&f, "image_size", out->image_size, "patch_size", out->patch);
    root->status = f.status;
}

/* Parse a file of the folder.  *path is set in any case and owned by the caller, who needs
 * it for messages; NULL when out of memory. */
static enum status read_file(
    const char *dir, const char *file, char **path, struct json **out, struct error *err)
{
    *out = NULL;
    *path = path_join(dir, file);
    if (!*path)
        return error_nomem(err, strlen(dir));
    if (!file_is_folder(dir))
        return error_set(err, E_NOT_FOUND,
            "%s is not a folder; expected one with %s and the weights of a CLIP model",
            dir, file);
    enum status s = json_read_file(*path, MAX_JSON_BYTES, JSON_UNIQUE_KEYS, out, err);
    if (s == E_NOT_FOUND)
        return error_set(err, s,
            "%s is not there; download it from where the weights come from", *path);
    if (!s && !json_is_object(*out)) {
        json_free(*out);
        *out = NULL;
        s = error_set(err, E_DATA, "%s: expected a JSON object", *path);
    }
    return s;
}

enum status checkpoint_config(const char *dir, struct clip_config *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    char *path = NULL;
    struct json *root = NULL;
    enum status s = read_file(dir, CONFIG_FILE, &path, &root, err);
    if (!s) {
        struct fields f = { root, path, "", OK, err };
        read_config(&f, out);
        s = f.status;
    }
    if (s)
        memset(out, 0, sizeof *out);
    json_free(root);
    free(path);
    return s;
}

/* --- preprocessor_config.json --- */

/* The newer style keeps the number in an object; two members of it must be equal. */
static uint32_t read_side(struct fields *f, const char *key, const char *first,
    const char *second, const char *expected)
{
    const struct json *j = field(f, key);
    if (!j)
        return 224;
    const struct json *a = json_is_object(j) ? json_get(j, first) : j;
    const struct json *b = json_is_object(j) && second ? json_get(j, second) : a;
    size_t n_members = json_is_object(j) ? (second ? 2 : 1) : 0;
    int64_t x = json_int(a, -1);
    if (x < 1 || x > CLIP_MAX_IMAGE || json_int(b, -2) != x || json_size(j) != n_members)
        refuse(f, key, j, expected);
    return f->status ? 0 : (uint32_t)x;
}

static void read_three(
    struct fields *f, const char *key, const float *otherwise, double min, float out[3])
{
    memcpy(out, otherwise, 3 * sizeof *out);
    const struct json *j = field(f, key);
    if (!j)
        return;
    int ok = json_is_array(j) && json_size(j) == 3;
    for (size_t i = 0; i < 3 && ok; i++) {
        double x = json_number(json_at(j, i), NAN);
        ok = x >= min && x <= 10;
        out[i] = ok ? (float)x : 0;
    }
    if (!ok)
        refuse(f, key, j, min > 0 ? "three numbers above 0" : "three numbers");
}

/* Other processors read the same fields in another way (ViT's size 224 is a square). */
static void expect_clip_processor(struct fields *f, const char *key)
{
    const struct json *j = field(f, key);
    if (j && !text_starts(json_text(j, ""), "CLIP"))
        refuse(f, key, j, "CLIPImageProcessor or CLIPFeatureExtractor");
}

static void expect_numbers(struct fields *f)
{
    const struct json *resample = field(f, "resample");
    if (resample && json_int(resample, -1) != 3)
        refuse(f, "resample", resample, "3 (bicubic), as CLIP was trained");
    const struct json *scale = field(f, "rescale_factor");
    if (scale && !(fabs(json_number(scale, 0) * 255 - 1) < 1e-6))
        refuse(f, "rescale_factor", scale, "1/255");
}

static void read_preparation(struct fields *f, struct clip_preparation *out)
{
    // openai/CLIP, clip.py
    static const float mean[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
    static const float deviation[3] = { 0.26862954f, 0.26130258f, 0.27577711f };
    static const char *const flags[] = { "do_resize", "do_center_crop", "do_rescale",
        "do_normalize", "do_convert_rgb" };
    expect_clip_processor(f, "image_processor_type");
    expect_clip_processor(f, "feature_extractor_type");
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        expect_true(f, flags[i]);
    expect_numbers(f);
    out->resize = read_side(f, "size", "shortest_edge", NULL,
        "a number of pixels or {\"shortest_edge\": pixels}");
    out->crop = read_side(f, "crop_size", "height", "width",
        "a number of pixels or {\"height\": pixels, \"width\": pixels} with both equal");
    read_three(f, "image_mean", mean, -10, out->mean);
    read_three(f, "image_std", deviation, 1e-6, out->std);
}

static enum status check_sides(const struct fields *f, const struct clip_config *config,
    const struct clip_preparation *p)
{
    if (p->crop != config->image_size)
        return error_set(f->err, E_DATA,
            "%s: crop_size is %u; expected image_size of " CONFIG_FILE ", %u", f->file,
            p->crop, config->image_size);
    if (p->resize < p->crop)
        return error_set(f->err, E_DATA,
            "%s: size is %u; expected crop_size, %u, or more", f->file, p->resize,
            p->crop);
    return OK;
}

enum status checkpoint_preparation(const char *dir, const struct clip_config *config,
    struct clip_preparation *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    char *path = NULL;
    struct json *root = NULL;
    enum status s = read_file(dir, PREPROCESSOR_FILE, &path, &root, err);
    if (!s) {
        struct fields f = { root, path, "", OK, err };
        read_preparation(&f, out);
        s = f.status ? f.status : check_sides(&f, config, out);
    }
    if (s)
        memset(out, 0, sizeof *out);
    json_free(root);
    free(path);
    return s;
}

/* --- the identity --- */

static enum status add_file_hash(
    struct json *facts, const char *dir, const char *file, struct error *err)
{
    struct buffer bytes;
    char hex[HASH_HEX] = "";
    buffer_init(&bytes, MAX_VOCABULARY_BYTES);
    char *path = path_join(dir, file);
    enum status s = path ? file_read(path, &bytes, err) : error_nomem(err, strlen(dir));
    if (!s) {
        hash_hex(buffer_str(&bytes), bytes.len, hex);
        if (!json_set_text(facts, file, hex))
            s = error_nomem(err, sizeof hex);
    }
    free(path);
    buffer_release(&bytes);
    return s;
}

/* The files that the tokenizer reads, by the same rule as tokenizer.c. */
static enum status add_tokenizer(struct json *facts, const char *dir, struct error *err)
{
    char *vocab = path_join(dir, "vocab.json"), *merges = path_join(dir, "merges.txt");
    int pair = vocab && merges && file_exists(vocab) && file_exists(merges);
    free(vocab);
    free(merges);
    if (!pair)
        return add_file_hash(facts, dir, "tokenizer.json", err);
    enum status s = add_file_hash(facts, dir, "vocab.json", err);
    return s ? s : add_file_hash(facts, dir, "merges.txt", err);
}

static int add_tower(struct json *facts, const char *key, const struct clip_tower *tower)
{
    const char *activation = tower->activation == CLIP_GELU ? "gelu" : "quick_gelu";
    struct json *o = json_set_object(facts, key);
    return json_set_int(o, "width", tower->width) &&
           json_set_int(o, "n_heads", tower->n_heads) &&
           json_set_int(o, "n_layers", tower->n_layers) &&
           json_set_int(o, "mlp", tower->mlp) &&
           json_set_text(o, "activation", activation) &&
           json_set_number(o, "layer_norm_eps", (double)tower->layer_norm_eps);
}

static int add_three(struct json *facts, const char *key, const float x[3])
{
    struct json *array = json_set_array(facts, key);
    return json_add_number(array, (double)x[0]) && json_add_number(array, (double)x[1]) &&
           json_add_number(array, (double)x[2]);
}

static int add_facts(struct json *facts, const struct clip_config *config,
    const struct clip_preparation *preparation)
{
    return add_tower(facts, "text", &config->text) &&
           add_tower(facts, "image", &config->image) &&
           json_set_int(facts, "context", config->context) &&
           json_set_int(facts, "vocab", config->vocab) &&
           json_set_int(facts, "image_size", config->image_size) &&
           json_set_int(facts, "patch", config->patch) &&
           json_set_int(facts, "projection", config->projection) &&
           json_set_int(facts, "resize", preparation->resize) &&
           json_set_int(facts, "crop", preparation->crop) &&
           add_three(facts, "mean", preparation->mean) &&
           add_three(facts, "std", preparation->std);
}

enum status checkpoint_identity(const char *dir, struct tensors *t,
    const struct clip_config *config, const struct clip_preparation *preparation,
    const char *precision, char out[HASH_HEX], struct error *err)
{
    out[0] = '\0';
    char weights[HASH_HEX];
    struct buffer text;
    buffer_init(&text, MAX_JSON_BYTES);
    struct json *facts = json_new_object();
    enum status s = facts ? tensors_sha256(t, weights, err) : error_nomem(err, 64);
    if (!s && !(json_set_text(facts, "weights", weights) &&
                  json_set_text(facts, "precision", precision) &&
                  add_facts(facts, config, preparation)))
        s = error_nomem(err, MAX_JSON_BYTES);
    if (!s)
        s = add_tokenizer(facts, dir, err);
    if (!s) {
        buffer_add_str(&text, IDENTITY_PREFIX);
        s = json_print(facts, JSON_CANONICAL, &text, err);
    }
    if (!s)
        s = buffer_status(&text, "the identity of a CLIP model", err);
    if (!s)
        hash_hex(text.data, text.len, out);
    json_free(facts);
    buffer_release(&text);
    return s;
}
