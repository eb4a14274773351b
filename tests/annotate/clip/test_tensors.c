/* test_tensors.c - safetensors files: what is taken, what is refused, which numbers come
 * out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "annotate/clip/half.h"
#include "annotate/clip/tensors.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "tests/support/clip_checkpoint.h"
#include "tests/support/scratch_folder.h"

#define MODEL "model.safetensors"
#define INDEX "model.safetensors.index.json"
#define DIMS(...) ((const uint64_t[]) { __VA_ARGS__ })

static char folder[256];

static int open_scratch(void **state)
{
    (void)state;
    scratch_folder_open(folder);
    return 0;
}

static int close_scratch(void **state)
{
    (void)state;
    scratch_folder_close(folder);
    return 0;
}

/* A file whose length field says what it likes. */
static void write_raw(
    const char *name, uint64_t said, const char *header, const void *data, size_t n_data)
{
    struct buffer b;
    buffer_init(&b, 1 << 24);
    for (int i = 0; i < 8; i++)
        buffer_add_char(&b, (char)(said >> (8 * i)));
    buffer_add_str(&b, header);
    buffer_add(&b, data, n_data);
    assert_int_equal(b.failed, OK);
    scratch_file(folder, name, b.data, b.len);
    buffer_release(&b);
}

/* A header and n_data zero bytes. */
static void write_file(const char *name, const char *header, size_t n_data)
{
    char *zeros = calloc(n_data + 1, 1);
    assert_non_null(zeros);
    write_raw(name, strlen(header), header, zeros, n_data);
    free(zeros);
}

static struct tensors *open_good(const char *dir)
{
    struct tensors *t = NULL;
    struct error err = ERROR_INIT;
    if (tensors_open(dir, &t, &err) != OK)
        fail_msg("%s", err.msg);
    assert_string_equal(err.msg, "");
    return t;
}

/* The folder is refused with a message that has the text. */
static void expect_refused(enum status status, const char *text)
{
    struct tensors *t = (struct tensors *)folder;
    struct error err = ERROR_INIT;
    enum status s = tensors_open(folder, &t, &err);
    if (s != status || !strstr(err.msg, text))
        fail_msg("status %d, \"%s\" has no \"%s\"", (int)s, err.msg, text);
    assert_null(t);
    assert_int_equal(tensors_open(folder, &t, NULL), status);
}

/* --- what is taken --- */

static void test_every_type_and_shape(void **state)
{
    (void)state;
    write_file(MODEL,
        "{\"__metadata__\":{\"format\":\"pt\",\"note\":\"\"},"
        "\"z\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[16,20]},"
        "\"ids\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]},"
        "\"empty\":{\"dtype\":\"F16\",\"shape\":[0,9007199254740991,9007199254740991],"
        "\"data_offsets\":[20,20]},"
        "\"flags\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[20,23]},"
        "\"f8\":{\"dtype\":\"F8_E4M3\",\"shape\":[1,1,1,1,1,1,1,1],"
        "\"data_offsets\":[23,24]}}     ",
        24);
    struct tensors *t = open_good(folder);
    assert_int_equal(tensors_count(t), 5);
    assert_string_equal(tensors_at(t, 0)->name, "empty");
    assert_string_equal(tensors_at(t, 4)->name, "z");
    const struct tensor *ids = tensors_find(t, "ids");
    assert_non_null(ids);
    assert_int_equal(ids->type, TENSOR_I64);
    assert_int_equal(ids->n_dims, 2);
    assert_int_equal(ids->dims[1], 2);
    assert_int_equal(ids->n_bytes, 16);
    assert_int_equal(tensors_find(t, "z")->n_dims, 0);
    assert_ptr_equal(tensors_find(t, "z")->data, ids->data + 16);
    assert_int_equal(tensors_find(t, "f8")->n_dims, 8);
    assert_null(tensors_find(t, "Z"));
    char text[64];
    assert_string_equal(
        tensor_text(ids->type, ids->dims, ids->n_dims, text, sizeof text), "I64 [1, 2]");
    assert_string_equal(tensor_text(ids->type, ids->dims, 2, text, 6), "I64 [");
    tensors_close(t);
}

static void test_a_file_without_tensors(void **state)
{
    (void)state;
    write_file(MODEL, "{}", 0);
    struct tensors *t = open_good(folder);
    assert_int_equal(tensors_count(t), 0);
    assert_null(tensors_find(t, "x"));
    const float *x;
    struct error err = ERROR_INIT;
    assert_int_equal(tensors_f32(t, "x", DIMS(1), 1, &x, &err), E_DATA);
    tensors_close(t);
}

/* --- what is refused --- */

#define ONE(fields) "{\"w\":{" fields "}}"

static void test_hostile_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header, *text;
        size_t n_data;
    } cases[] = {
        { "[1]", "not a JSON object", 0 },
        { " {}", "not a JSON object", 0 },
        { "{\"a", "header:1:", 0 },
        { "{}x", "text behind the JSON value", 0 },
        { "{\"a\":1,\"a\":2}", "the same key twice", 0 },
        { "{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
          "\"\\u0077\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            "the same key twice", 2 },
        { "{\"__metadata__\":{\"a\":1}}", "__metadata__ is not an object of texts", 0 },
        { "{\"__metadata__\":[]}", "__metadata__ is not an object of texts", 0 },
        { "{\"w\":[]}", "\"w\": is not described by an object", 0 },
        { "{\"w\":{}}", "\"w\": has no dtype", 0 },
        { ONE("\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]"),
            "\"w\": the type F31 is unknown", 4 },
        { ONE("\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]"),
            "the type f32 is unknown", 4 },
        { ONE("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), "\"w\": has no shape", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]"),
            "\"w\": a dimension is not a whole number", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"),
            "a dimension is not a whole number", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[18446744073709551617],"
              "\"data_offsets\":[0,4]"),
            "a dimension is not a whole number", 4 },
        { ONE("\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]"),
            "more than 8 dimensions", 1 },
        /* 2^32 * 2^32 * 4 wraps to 0, 2^31 * 2^31 * 4 + ... too */
        { ONE("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],"
              "\"data_offsets\":[0,0]"),
            "\"w\": the size of F32 [4294967296, 4294967296] does not fit", 0 },
        { ONE("\"dtype\":\"F32\",\"shape\":[2147483648,2147483648],"
              "\"data_offsets\":[0,0]"),
            "does not fit into 64 bits", 0 },
        { ONE("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]"),
            "F32 [2] takes 8 bytes, but its data_offsets hold 4", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]"),
            "takes 4 bytes, but its data_offsets hold 8", 8 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]"),
            "not two whole numbers", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]"),
            "not two whole numbers", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{\"a\":0,\"b\":4}"),
            "not two whole numbers", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]"),
            "not two whole numbers", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],"
              "\"data_offsets\":[18446744073709551612,18446744073709551616]"),
            "not two whole numbers", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"),
            "\"w\": data_offsets 4 to 0 are not within", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"),
            "are not within the 3 bytes", 3 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],"
              "\"data_offsets\":[9007199254740987,9007199254740991]"),
            "are not within the 4 bytes", 4 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]"),
            "\"w\": begins at byte 4 of the data, but what is in front of it ends at 0",
            8 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"),
            "end at byte 4 of the data, the file at 5", 5 },
        { ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"extra\":1"),
            "unknown field \"extra\"", 4 },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
            "\"b\": overlaps \"a\", which ends at byte 4", 7 },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
            "overlaps", 4 },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[5,9]}}",
            "\"b\": begins at byte 5", 9 },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[2,2]}}",
            "\"b\": overlaps \"a\"", 4 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_file(MODEL, cases[i].header, cases[i].n_data);
        expect_refused(E_DATA, cases[i].text);
        expect_refused(E_DATA, MODEL); /* the file is named, too */
    }
}

static void test_hostile_lengths(void **state)
{
    (void)state;
    write_raw(MODEL, (uint64_t)1 << 60, "{}", "", 0);
    expect_refused(
        E_DATA, "its header has 1152921504606846976 bytes, but the file has 10");
    write_raw(MODEL, UINT64_MAX, "{}", "", 0);
    expect_refused(E_DATA, "18446744073709551615");
    write_raw(MODEL, UINT64_MAX - 7, "{}", "", 0);
    expect_refused(E_DATA, "not a safetensors file, or not downloaded in full");
    write_raw(MODEL, 3, "{}", "", 0);
    expect_refused(E_DATA, "has 3 bytes, but the file has 10");
    write_raw(MODEL, 1, "{}", "", 0);
    expect_refused(E_DATA, "not a JSON object");
    scratch_file(folder, MODEL, "\2\0\0\0\0\0\0", 7);
    expect_refused(E_DATA, "has 7 bytes, a safetensors file has at least 10");
    scratch_file(folder, MODEL, "", 0);
    expect_refused(E_DATA, "is empty; download it again");
    scratch_text(
        folder, MODEL, "version https://git-lfs.github.com/spec/v1\noid sha256:");
    expect_refused(E_DATA, "not a safetensors file");

    char *long_header = malloc((size_t)SAFETENSORS_MAX_HEADER + 2);
    assert_non_null(long_header);
    memset(long_header, ' ', (size_t)SAFETENSORS_MAX_HEADER + 1);
    memcpy(long_header, "{}", 2);
    long_header[SAFETENSORS_MAX_HEADER + 1] = '\0';
    write_file(MODEL, long_header, 0);
    expect_refused(E_DATA, "its header has 8388609 bytes, at most 8388608 are taken");
    free(long_header);
}

/* A checkpoint that was cut anywhere is refused, never read past its end. */
static void test_truncation(void **state)
{
    (void)state;
    struct clip_checkpoint how = clip_checkpoint_small();
    how.type = TENSOR_F16;
    clip_checkpoint_write(folder, &how);
    char *path = path_join(folder, MODEL);
    struct buffer whole;
    buffer_init(&whole, 1 << 24);
    assert_int_equal(file_read(path, &whole, NULL), OK);
    for (size_t len = 0; len < whole.len; len += 1 + len / 16) {
        scratch_file(folder, MODEL, whole.data, len);
        expect_refused(E_DATA, MODEL);
    }
    scratch_file(folder, MODEL, whole.data, whole.len - 1);
    expect_refused(E_DATA, "is the file downloaded in full?");
    buffer_release(&whole);
    free(path);
}

static void test_folders_without_weights(void **state)
{
    (void)state;
    expect_refused(E_NOT_FOUND, "has neither model.safetensors nor");
    scratch_text(folder, "pytorch_model.bin", "PK");
    expect_refused(E_NOT_FOUND, "pytorch_model.bin only");
    struct tensors *t;
    struct error err = ERROR_INIT;
    assert_int_equal(tensors_open("/nonexistent/clip", &t, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "/nonexistent/clip is not a folder"));
    char *path = path_join(folder, MODEL);
    assert_int_equal(folder_make(path, NULL), OK);
    expect_refused(E_DATA, "is not a regular file");
    free(path);
}

/* --- numbers --- */

static void test_every_half(void **state)
{
    (void)state;
    uint8_t bytes[2 * 3];
    float x[3];
    for (uint32_t h = 0; h < 65536; h++) {
        memset(bytes, 0, sizeof bytes);
        bytes[3] = (uint8_t)h; /* the second of three, at an odd place */
        bytes[4] = (uint8_t)(h >> 8);
        half_to_float(bytes + 1, 2, x);
        int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
        double expected =
            exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        if (h & 0x8000)
            expected = -expected;
        if (exponent == 31 && fraction) {
            assert_true(isnan(x[1]));
        } else if (exponent == 31) {
            assert_true(isinf(x[1]) && !signbit(x[1]) == !(h & 0x8000));
        } else {
            assert_true((double)x[1] == expected);
            assert_int_equal(!!signbit(x[1]), h >> 15);
        }
        uint32_t bits;
        bfloat_to_float(bytes + 1, 2, x);
        memcpy(&bits, &x[1], sizeof bits);
        assert_int_equal(bits, h << 16);
    }
}

static void expect_f32(struct tensors *t, enum status status, const char *name,
    const uint64_t *dims, size_t n_dims, const char *text)
{
    const float *x = (const float *)1;
    struct error err = ERROR_INIT;
    enum status s = tensors_f32(t, name, dims, n_dims, &x, &err);
    if (s != status || !strstr(err.msg, text))
        fail_msg("status %d, \"%s\" has no \"%s\"", (int)s, err.msg, text);
    assert_null(x);
}

static void test_wrong_forms_are_named(void **state)
{
    (void)state;
    write_file(MODEL,
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[24,28]},"
        "\"i\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[28,36]}}",
        36);
    struct tensors *t = open_good(folder);
    expect_f32(
        t, E_DATA, "w", DIMS(3, 2), 2, "tensor \"w\" is F32 [2, 3]; expected F32 [3, 2]");
    expect_f32(t, E_DATA, "w", DIMS(6), 1, "expected F32 [6]");
    expect_f32(t, E_DATA, "w", DIMS(2, 3, 1), 3, "expected F32 [2, 3, 1]");
    expect_f32(t, E_DATA, "s", DIMS(1), 1, "tensor \"s\" is F32 []; expected F32 [1]");
    expect_f32(t, E_DATA, "i", DIMS(2), 1, "tensor \"i\" is I32 [2]; expected F32 [2]");
    expect_f32(
        t, E_DATA, "v", DIMS(2, 3), 2, "tensor \"v\" is missing; expected F32 [2, 3]");
    const float *x;
    assert_int_equal(tensors_f32(t, "w", DIMS(2, 3), 2, &x, NULL), OK);
    assert_int_equal(tensors_f32(t, "s", NULL, 0, &x, NULL), OK);
    tensors_close(t);
}

static void test_numbers_that_are_not_finite(void **state)
{
    (void)state;
    static const char header[] =
        "{\"f\":{\"dtype\":\"F32\",\"shape\":[1500],\"data_offsets\":[0,6000]},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[6000,6006]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[6006,6008]}}";
    uint8_t data[6008] = { 0 };
    float nan_value = NAN;
    memcpy(data + 4 * 1400, &nan_value, 4);
    memcpy(data + 6004, "\0\xfc", 2); /* -infinity */
    memcpy(data + 6006, "\x80\x7f", 2);
    write_raw(MODEL, strlen(header), header, data, sizeof data);
    struct tensors *t = open_good(folder);
    expect_f32(t, E_DATA, "f", DIMS(1500), 1, "\"f\": number 1400 of 1500 is not finite");
    expect_f32(t, E_DATA, "h", DIMS(3), 1, "\"h\": number 2 of 3 is not finite");
    expect_f32(t, E_DATA, "b", DIMS(1), 1, "\"b\": number 0 of 1 is not finite");
    tensors_close(t);
}

static const float *numbers(struct tensors *t, const char *name)
{
    const struct tensor *x = tensors_find(t, name);
    const float *out = NULL;
    struct error err = ERROR_INIT;
    assert_non_null(x);
    if (tensors_f32(t, name, x->dims, x->n_dims, &out, &err) != OK)
        fail_msg("%s", err.msg);
    return out;
}

/* Two folders have the same tensors, and numbers within a relative bound. */
static void expect_same(const char *a, const char *b, double bound)
{
    struct tensors *x = open_good(a), *y = open_good(b);
    assert_int_equal(tensors_count(x), tensors_count(y));
    for (size_t i = 0; i < tensors_count(x); i++) {
        const struct tensor *p = tensors_at(x, i), *q = tensors_at(y, i);
        assert_string_equal(p->name, q->name);
        if (p->type == TENSOR_I64)
            continue;
        const float *u = numbers(x, p->name), *v = numbers(y, p->name);
        size_t n = (size_t)p->n_bytes / tensor_type_bytes(p->type);
        for (size_t j = 0; j < n; j++) {
            double d = fabs((double)u[j] - (double)v[j]);
            if (d > bound * fabs((double)u[j]) + 0x1p-25 * (bound > 0))
                fail_msg("%s[%zu]: %g and %g", p->name, j, (double)u[j], (double)v[j]);
        }
    }
    tensors_close(x);
    tensors_close(y);
}

static void make(char path[300], const char *name, enum tensor_type type,
    unsigned n_shards, int misplaced)
{
    struct clip_checkpoint how = clip_checkpoint_small();
    how.type = type;
    how.n_shards = n_shards;
    how.misplaced = misplaced;
    snprintf(path, 300, "%s/%s", folder, name);
    clip_checkpoint_write(path, &how);
}

static void test_types_places_and_shards_give_the_same_numbers(void **state)
{
    (void)state;
    char plain[300], other[300];
    make(plain, "plain", TENSOR_F32, 0, 0);
    make(other, "odd", TENSOR_F32, 0, 1);
    expect_same(plain, other, 0);
    make(other, "shards", TENSOR_F32, 5, 0);
    expect_same(plain, other, 0);
    make(other, "one-shard", TENSOR_F32, 1, 1);
    expect_same(plain, other, 0);
    make(other, "half", TENSOR_F16, 3, 1);
    expect_same(plain, other, 0x1p-11);
    make(other, "bfloat", TENSOR_BF16, 0, 0);
    expect_same(plain, other, 0x1p-8);
}

static void test_borrowing_and_dropping(void **state)
{
    (void)state;
    static const char name[] = "visual_projection.weight";
    char plain[300], odd[300];
    make(plain, "plain", TENSOR_F32, 0, 0);
    make(odd, "odd", TENSOR_F32, 0, 1);
    struct tensors *t = open_good(plain), *u = open_good(odd);
    const struct tensor *x = tensors_find(t, name), *y = tensors_find(u, name);
    assert_ptr_equal(numbers(t, name), x->data); /* borrowed */
    const float *converted = numbers(u, name);
    assert_ptr_not_equal(converted, y->data);
    assert_ptr_equal(numbers(u, name), converted); /* once */
    for (int i = 0; i < 2; i++) {
        tensors_drop(t, name);
        tensors_drop(u, name);
        assert_memory_equal(numbers(t, name), numbers(u, name), x->n_bytes);
    }
    tensors_drop(t, "nothing of this name");
    tensors_close(t);
    tensors_close(u);
}

static void hash_of_file(const char *dir, const char *name, char out[HASH_HEX])
{
    struct buffer b;
    buffer_init(&b, 1 << 24);
    char *path = path_join(dir, name);
    assert_int_equal(file_read(path, &b, NULL), OK);
    hash_hex(b.data, b.len, out);
    free(path);
    buffer_release(&b);
}

static void test_hashes(void **state)
{
    (void)state;
    char plain[300], shards[300], expected[HASH_HEX], found[HASH_HEX];
    make(plain, "plain", TENSOR_F32, 0, 0);
    make(shards, "shards", TENSOR_F32, 2, 0);
    struct tensors *t = open_good(plain);
    assert_int_equal(tensors_sha256(t, found, NULL), OK);
    hash_of_file(plain, MODEL, expected);
    assert_string_equal(found, expected);
    assert_int_equal(tensors_sha256(t, found, NULL), OK); /* kept */
    assert_string_equal(found, expected);
    tensors_close(t);

    char lines[2 * HASH_HEX];
    hash_of_file(shards, "model-00001-of-00002.safetensors", lines);
    hash_of_file(shards, "model-00002-of-00002.safetensors", lines + HASH_HEX);
    lines[HASH_HEX - 1] = lines[2 * HASH_HEX - 1] = '\n';
    hash_hex(lines, sizeof lines, expected);
    t = open_good(shards);
    assert_int_equal(tensors_sha256(t, found, NULL), OK);
    assert_string_equal(found, expected);
    tensors_close(t);
}

/* --- shards --- */

#define TENSOR_A "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
#define TENSOR_B "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"

static void test_indexes(void **state)
{
    (void)state;
    static const struct {
        const char *index, *text;
    } cases[] = {
        { "[]", "has no weight_map" },
        { "{\"weight_map\": {}}", "has no weight_map" },
        { "{\"weight_map\": [\"x.safetensors\"]}", "has no weight_map" },
        { "{\"weight_map\": {\"a\": 1}}", "tensor \"a\" is said to be in \"\"" },
        { "{\"weight_map\": {\"a\": \"../x.safetensors\"}}",
            "tensor \"a\" is said to be in \"../x.safetensors\"; expected the name of" },
        { "{\"weight_map\": {\"a\": \"/etc/x.safetensors\"}}", "/etc/x.safetensors" },
        { "{\"weight_map\": {\"a\": \"sub/x.safetensors\"}}", "sub/x.safetensors" },
        { "{\"weight_map\": {\"a\": \"..\"}}", "expected the name of" },
        { "{\"weight_map\": {\"a\": \".safetensors\"}}", "expected the name of" },
        { "{\"weight_map\": {\"a\": \"config.json\"}}", "expected the name of" },
        { "{\"weight_map\": {\"a\": \"x.safetensors\", \"a\": \"y.safetensors\"}}",
            "the same key twice" },
        { "{\"weight_map\": {\"a\": \"x.safetensors\", \"b\": \"x.safetensors\"}}",
            "tensor \"b\" is said to be in x.safetensors, which lacks it" },
        { "{\"weight_map\": {\"a\": \"y.safetensors\", \"b\": \"x.safetensors\"}}",
            "is said to be in" },
        { "{\"weight_map\": {\"c\": \"x.safetensors\"}}",
            "does not list tensor \"a\" of x.safetensors" },
        { "{\"weight_map\": {\"a\": \"x.safetensors\", \"b\": \"y.safetensors\", "
          "\"c\": \"again.safetensors\"}}",
            "tensor \"a\" is said to be in x.safetensors, but is in again.safetensors" },
        { "{\"weight_map\": {\"a\": \"x.safetensors\", \"b\": \"broken.safetensors\"}}",
            "broken.safetensors: not a safetensors file" },
        { "{\"weight_map\"", INDEX ":1:" },
    };
    write_file("x.safetensors", TENSOR_A, 4);
    write_file("y.safetensors", TENSOR_B, 4);
    write_file("again.safetensors", TENSOR_A, 4);
    scratch_text(folder, "broken.safetensors", "broken in every way");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        scratch_text(folder, INDEX, cases[i].index);
        expect_refused(E_DATA, cases[i].text);
    }
    scratch_text(folder, INDEX,
        "{\"weight_map\": {\"a\": \"x.safetensors\", \"b\": \"none.safetensors\"}}");
    expect_refused(E_NOT_FOUND, "names a shard that is not there; download it: ");
    scratch_text(folder, INDEX,
        "{\"weight_map\": {\"b\": \"y.safetensors\", \"a\": \"x.safetensors\"}}");
    struct tensors *t = open_good(folder);
    assert_int_equal(tensors_count(t), 2);
    tensors_close(t);

    write_file(MODEL, TENSOR_A, 4); /* goes first, as in transformers */
    t = open_good(folder);
    assert_int_equal(tensors_count(t), 1);
    tensors_close(t);
}

static void test_too_many_shards(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1 << 20);
    buffer_add_str(&b, "{\"weight_map\": {");
    for (int i = 0; i <= TENSORS_MAX_SHARDS; i++)
        buffer_printf(&b, "%s\"t%d\": \"%d.safetensors\"", i ? "," : "", i, i);
    buffer_add_str(&b, "}}");
    scratch_text(folder, INDEX, buffer_str(&b));
    expect_refused(E_DATA, "names 257 shards, at most 256 are taken");
    buffer_release(&b);
}

/* --- the reference checkpoint --- */

static void link_into(const char *folder_name, const char *target)
{
    char dir[300], path[600];
    snprintf(dir, sizeof dir, "%s/%s", folder, folder_name);
    snprintf(path, sizeof path, "%s/" MODEL, dir);
    assert_int_equal(folder_make(dir, NULL), OK);
    assert_int_equal(symlink(target, path), 0);
}

static void test_reference_checkpoint(void **state)
{
    (void)state;
    char *tiny = shared_path("golden/clip/tiny");
    if (!tiny) {
        print_message("no shared material: golden/clip is not there\n");
        skip();
    }
    char *single = path_join(tiny, MODEL),
         *half = path_join(tiny, "model.fp16.safetensors");
    char *real = realpath(single, NULL), *real_half = realpath(half, NULL);
    link_into("f32", real);
    link_into("f16", real_half);
    char a[300], b[300];
    snprintf(a, sizeof a, "%s/f32", folder);
    snprintf(b, sizeof b, "%s/f16", folder);
    expect_same(a, b, 0);
    struct tensors *t = open_good(tiny);
    assert_int_equal(tensors_count(t), 96);
    const float *x;
    assert_int_equal(tensors_f32(t, "logit_scale", NULL, 0, &x, NULL), OK);
    assert_int_equal(tensors_f32(t, "vision_model.embeddings.patch_embedding.weight",
                         DIMS(96, 3, 16, 16), 4, &x, NULL),
        OK);
    tensors_close(t);
    free(tiny);
    free(single);
    free(half);
    free(real);
    free(real_half);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scratch, close_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_type_and_shape),
        TEST(test_a_file_without_tensors),
        TEST(test_hostile_headers),
        TEST(test_hostile_lengths),
        TEST(test_truncation),
        TEST(test_folders_without_weights),
        TEST(test_every_half),
        TEST(test_wrong_forms_are_named),
        TEST(test_numbers_that_are_not_finite),
        TEST(test_types_places_and_shards_give_the_same_numbers),
        TEST(test_borrowing_and_dropping),
        TEST(test_hashes),
        TEST(test_indexes),
        TEST(test_too_many_shards),
        TEST(test_reference_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
