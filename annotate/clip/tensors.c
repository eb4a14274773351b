/* tensors.c - the weights of a checkpoint folder, mapped from its safetensors files. */
#include "annotate/clip/tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "annotate/clip/half.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

#define SINGLE_FILE "model.safetensors"
#define INDEX_FILE "model.safetensors.index.json"
#define HASH_STEP ((size_t)4 << 20)

_Static_assert(
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "borrowed weights are little-endian");

struct shard {
    char *path; /* owned */
    uint8_t *map;
    size_t len;
    struct stat opened;
};

struct entry {
    struct tensor tensor; /* its name is owned */
    const char *path;     /* of its shard */
    float *converted;     /* owned; NULL while not needed */
};

struct tensors {
    char *dir;
    struct shard *shards; /* by file name */
    size_t n_shards;
    struct entry *entries; /* by name */
    size_t n_entries;
    char sha256[HASH_HEX]; /* "" until asked for */
};

/* A line of the index: this tensor is in this file. */
struct placed {
    const char *name, *file;
};

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return strcmp(x->tensor.name, y->tensor.name);
}

static enum status map_file(struct shard *shard, struct error *err)
{
    const char *path = shard->path;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would wait */
    if (fd < 0)
        return error_errno(err, "cannot open %s", path);
    enum status s = OK;
    struct stat *st = &shard->opened;
    if (fstat(fd, st) != 0)
        s = error_errno(err, "cannot look at %s", path);
    else if (!S_ISREG(st->st_mode))
        s = error_set(err, E_DATA, "%s is not a regular file", path);
    else if (st->st_size == 0)
        s = error_set(err, E_DATA, "%s is empty; download it again", path);
    if (!s) {
        void *map = mmap(NULL, (size_t)st->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            s = error_errno(err, "cannot map %s", path);
        } else {
            shard->map = map;
            shard->len = (size_t)st->st_size;
        }
    }
    close(fd);
    return s;
}

/* Map one more file and take its tensors over; t->shards has room for it. */
static enum status add_shard(struct tensors *t, const char *file, struct error *err)
{
    struct shard *shard = &t->shards[t->n_shards++];
    shard->path = path_join(t->dir, file);
    if (!shard->path)
        return error_nomem(err, strlen(file));
    struct tensor *list = NULL;
    size_t n = 0;
    enum status s = map_file(shard, err);
    if (!s)
        s = safetensors_parse(shard->map, shard->len, shard->path, &list, &n, err);
    if (s || n == 0) {
        safetensors_free(list, n);
        return s;
    }
    if (n > SAFETENSORS_MAX_TENSORS - t->n_entries) {
        safetensors_free(list, n);
        return error_set(err, E_DATA, "%s: more than %d tensors in all shards",
            shard->path, SAFETENSORS_MAX_TENSORS);
    }
    struct entry *entries = realloc(t->entries, (t->n_entries + n) * sizeof *entries);
    if (!entries) {
        safetensors_free(list, n);
        return error_nomem(err, (t->n_entries + n) * sizeof *entries);
    }
    t->entries = entries;
    for (size_t i = 0; i < n; i++)
        entries[t->n_entries++] = (struct entry) { list[i], shard->path, NULL };
    free(list);
    return OK;
}

/* --- the index of shards --- */

/* A shard lies beside its index: a plain name, so that no index reads other folders. */
static int is_plain_name(const char *file)
{
    return text_ends(file, ".safetensors") && !strchr(file, '/') && file[0] != '.';
}

static enum status read_index(
    const struct json *map, const char *path, struct placed *placed, struct error *err)
{
    size_t n = 0;
    for (const struct json *j = json_first(map); j; j = json_next(j)) {
        const char *file = json_text(j, "");
        if (!is_plain_name(file))
            return error_set(err, E_DATA,
                "%s: tensor \"%.200s\" is said to be in \"%.200s\"; expected the name of "
                "a .safetensors file in the same folder",
                path, json_key(j), file);
        placed[n++] = (struct placed) { json_key(j), file };
    }
    qsort(placed, n, sizeof *placed, compare_placed);
    return OK;
}

static enum status add_shards(struct tensors *t, const char *path,
    const struct placed *placed, size_t n, struct error *err)
{
    const char **files = malloc(n * sizeof *files);
    if (!files)
        return error_nomem(err, n * sizeof *files);
    for (size_t i = 0; i < n; i++)
        files[i] = placed[i].file;
    qsort(files, n, sizeof *files, compare_texts);
    size_t n_files = 1;
    for (size_t i = 1; i < n; i++)
        if (strcmp(files[i], files[n_files - 1]) != 0)
            files[n_files++] = files[i];
    enum status s = OK;
    if (n_files > TENSORS_MAX_SHARDS)
        s = error_set(err, E_DATA, "%s: names %zu shards, at most %d are taken", path,
            n_files, TENSORS_MAX_SHARDS);
    if (!s && !(t->shards = calloc(n_files, sizeof *t->shards)))
        s = error_nomem(err, n_files * sizeof *t->shards);
    for (size_t i = 0; i < n_files && !s; i++) {
        s = add_shard(t, files[i], err);
        if (s == E_NOT_FOUND)
            error_prefix(err, "%s names a shard that is not there; download it: ", path);
    }
    free(files);
    return s;
}

/* Each tensor of a shard must be placed there by the index, and each placed one be there.
 * So no name stands for two tensors. */
static enum status check_index(const struct tensors *t, const char *path,
    const struct placed *placed, size_t n, struct error *err)
{
    for (size_t i = 0; i < t->n_entries; i++) {
        const struct entry *e = &t->entries[i];
        struct placed key = { e->tensor.name, NULL };
        const struct placed *p = bsearch(&key, placed, n, sizeof *placed, compare_placed);
        if (!p)
            return error_set(err, E_DATA, "%s does not list tensor \"%.200s\" of %s",
                path, key.name, path_base(e->path));
        if (strcmp(p->file, path_base(e->path)) != 0)
            return error_set(err, E_DATA,
                "%s: tensor \"%.200s\" is said to be in %.200s, but is in %s", path,
                key.name, p->file, path_base(e->path));
    }
    for (size_t i = 0; i < n; i++)
        if (!tensors_find(t, placed[i].name))
            return error_set(err, E_DATA,
                "%s: tensor \"%.200s\" is said to be in %.200s, which lacks it; are all "
                "files of the same download?",
                path, placed[i].name, placed[i].file);
    return OK;
}

static void sort_entries(struct tensors *t)
{
    if (t->n_entries)
        qsort(t->entries, t->n_entries, sizeof *t->entries, compare_entries);
}

static enum status open_index(struct tensors *t, const char *path, struct error *err)
{
    struct json *index = NULL;
    struct placed *placed = NULL;
    enum status s = json_read_file(
        path, (size_t)SAFETENSORS_MAX_HEADER, JSON_UNIQUE_KEYS, &index, err);
    const struct json *map = json_get(index, "weight_map");
    size_t n = json_size(map);
    if (!s && (!json_is_object(map) || n == 0))
        s = error_set(err, E_DATA, "%s: has no weight_map that names shards", path);
    if (!s && !(placed = malloc(n * sizeof *placed)))
        s = error_nomem(err, n * sizeof *placed);
    if (!s)
        s = read_index(map, path, placed, err);
    if (!s)
        s = add_shards(t, path, placed, n, err);
    sort_entries(t);
    if (!s)
        s = check_index(t, path, placed, n, err);
    free(placed);
    json_free(index);
    return s;
}

/* --- opening and looking up --- */

static enum status no_weights(const char *dir, struct error *err)
{
    if (!file_is_folder(dir))
        return error_set(err, E_NOT_FOUND,
            "%s is not a folder; expected one with " SINGLE_FILE " and config.json", dir);
    char *pickle = path_join(dir, "pytorch_model.bin");
    int has_pickle = pickle && file_exists(pickle);
    free(pickle);
    if (has_pickle)
        return error_set(err, E_NOT_FOUND,
            "%s has its weights in pytorch_model.bin only, which is not read here "
            "because "
            "such a file can run code.  Download " SINGLE_FILE
            " (on the Hub often in a pull request of the model), or convert it where you "
            "trust it: python3 -c 'from transformers import CLIPModel as M; "
            "M.from_pretrained(\".\").save_pretrained(\".\")' in that folder",
            dir);
    return error_set(err, E_NOT_FOUND,
        "%s has neither " SINGLE_FILE " nor " INDEX_FILE
        "; expected the folder of a CLIP model as the Hugging Face Hub has it",
        dir);
}

static enum status open_folder(struct tensors *t, struct error *err)
{
    char *single = path_join(t->dir, SINGLE_FILE);
    char *index = path_join(t->dir, INDEX_FILE);
    enum status s = OK;
    if (!single || !index) {
        s = error_nomem(err, strlen(t->dir));
    } else if (file_exists(single)) {
        t->shards = calloc(1, sizeof *t->shards);
        s = t->shards ? add_shard(t, SINGLE_FILE, err)
                      : error_nomem(err, sizeof *t->shards);
        sort_entries(t);
    } else if (file_exists(index)) {
        s = open_index(t, index, err);
    } else {
        s = no_weights(t->dir, err);
    }
    free(single);
    free(index);
    return s;
}

enum status tensors_open(const char *dir, struct tensors **out, struct error *err)
{
    *out = NULL;
    struct tensors *t = calloc(1, sizeof *t);
    if (!t)
        return error_nomem(err, sizeof *t);
    t->dir = text_copy(dir);
    enum status s = t->dir ? open_folder(t, err) : error_nomem(err, strlen(dir));
    if (s) {
        tensors_close(t);
        return s;
    }
    *out = t;
    return OK;
}

void tensors_close(struct tensors *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_entries; i++) {
        free(t->entries[i].tensor.name);
        free(t->entries[i].converted);
    }
    for (size_t i = 0; i < t->n_shards; i++) {
        if (t->shards[i].map)
            munmap(t->shards[i].map, t->shards[i].len);
        free(t->shards[i].path);
    }
    free(t->entries);
    free(t->shards);
    free(t->dir);
    free(t);
}

size_t tensors_count(const struct tensors *t)
{
    return t->n_entries;
}

const struct tensor *tensors_at(const struct tensors *t, size_t i)
{
    return &t->entries[i].tensor;
}

static struct entry *find_entry(const struct tensors *t, const char *name)
{
    struct entry key = { .tensor = { .name = (char *)(uintptr_t)name } };
    return t->n_entries ? bsearch(&key, t->entries, t->n_entries, sizeof *t->entries,
                              compare_entries)
                        : NULL;
}

const struct tensor *tensors_find(const struct tensors *t, const char *name)
{
    const struct entry *e = find_entry(t, name);
    return e ? &e->tensor : NULL;
}

const char *tensors_path(const struct tensors *t, const char *name)
{
    const struct entry *e = find_entry(t, name);
    return e ? e->path : NULL;
}

enum status tensors_unchanged(const struct tensors *t, struct error *err)
{
    for (size_t i = 0; i < t->n_shards; i++) {
        const struct stat *old = &t->shards[i].opened;
        struct stat now;
        if (stat(t->shards[i].path, &now) != 0 || now.st_dev != old->st_dev ||
            now.st_ino != old->st_ino)
            continue;
        if (now.st_size != old->st_size || now.st_mtim.tv_sec != old->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != old->st_mtim.tv_nsec)
            return error_set(err, E_DATA,
                "%s was written to while it was used; run the command again once it is "
                "whole",
                t->shards[i].path);
    }
    return OK;
}

/* --- numbers --- */

static int same_shape(const struct tensor *x, const uint64_t *dims, size_t n_dims)
{
    int same = x->n_dims == n_dims;
    for (size_t i = 0; i < n_dims && same; i++)
        same = x->dims[i] == dims[i];
    return same;
}

static enum status check_form(const struct tensors *t, const struct entry *e,
    const char *name, const uint64_t *dims, size_t n_dims, struct error *err)
{
    char expected[160], found[160];
    tensor_text(TENSOR_F32, dims, n_dims, expected, sizeof expected);
    if (!e)
        return error_set(err, E_DATA,
            "%s: tensor \"%s\" is missing; expected %s (or F16, BF16).  Is this a CLIP "
            "model with a ViT, and does config.json belong to it?",
            t->n_shards == 1 ? t->shards[0].path : t->dir, name, expected);
    const struct tensor *x = &e->tensor;
    if (same_shape(x, dims, n_dims) &&
        (x->type == TENSOR_F32 || x->type == TENSOR_F16 || x->type == TENSOR_BF16))
        return OK;
    return error_set(err, E_DATA,
        "%s: tensor \"%s\" is %s; expected %s (or F16, BF16).  Does config.json belong "
        "to "
        "these weights?",
        e->path, name, tensor_text(x->type, x->dims, x->n_dims, found, sizeof found),
        expected);
}

/* Index of the first of n numbers that is not finite, or n. */
static size_t first_not_finite(const float *x, size_t n)
{
    for (size_t begin = 0; begin < n; begin += 1024) {
        size_t end = n - begin < 1024 ? n : begin + 1024;
        uint32_t bits, bad = 0;
        for (size_t i = begin; i < end; i++) {
            memcpy(&bits, &x[i], sizeof bits);
            bad |= (bits & 0x7f800000u) == 0x7f800000u;
        }
        for (size_t i = begin; bad && i < end; i++) {
            memcpy(&bits, &x[i], sizeof bits);
            if ((bits & 0x7f800000u) == 0x7f800000u)
                return i;
        }
    }
    return n;
}

static enum status convert(struct entry *e, size_t n, struct error *err)
{
    const struct tensor *x = &e->tensor;
    float *out = malloc(n ? n * sizeof *out : 1);
    if (!out)
        return error_nomem(err, n * sizeof *out);
    if (x->type == TENSOR_F16)
        half_to_float(x->data, n, out);
    else if (x->type == TENSOR_BF16)
        bfloat_to_float(x->data, n, out);
    else
        memcpy(out, x->data, n * sizeof *out);
    e->converted = out;
    return OK;
}

enum status tensors_f32(struct tensors *t, const char *name, const uint64_t *dims,
    size_t n_dims, const float **out, struct error *err)
{
    *out = NULL;
    struct entry *e = find_entry(t, name);
    enum status s = check_form(t, e, name, dims, n_dims, err);
    if (s)
        return s;
    const struct tensor *x = &e->tensor;
    size_t n = (size_t)x->n_bytes / tensor_type_bytes(x->type);
    int borrowed = x->type == TENSOR_F32 && (uintptr_t)x->data % _Alignof(float) == 0;
    if (!borrowed && !e->converted && (s = convert(e, n, err)) != OK)
        return s;
    const float *numbers = borrowed ? (const float *)(const void *)x->data : e->converted;
    size_t bad = first_not_finite(numbers, n);
    if (bad < n)
        return error_set(err, E_DATA,
            "%s: tensor \"%s\": number %zu of %zu is not finite; the file is damaged or "
            "its training failed",
            e->path, name, bad, n);
    *out = numbers;
    return OK;
}

/* Let the system take back the pages of [begin, begin + len) of a mapped file. */
static void drop_pages(const uint8_t *begin, size_t len)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = (uintptr_t)begin / page * page;
    (void)madvise((void *)from, (uintptr_t)begin + len - from, MADV_DONTNEED);
}

void tensors_drop(struct tensors *t, const char *name)
{
    struct entry *e = find_entry(t, name);
    if (!e)
        return;
    free(e->converted);
    e->converted = NULL;
    if (e->tensor.n_bytes)
        drop_pages(e->tensor.data, (size_t)e->tensor.n_bytes);
}

/* --- the hash --- */

static enum status hash_shard(
    const struct shard *shard, char out[HASH_HEX], struct error *err)
{
    struct hash_run *run = NULL;
    enum status s = hash_begin(&run, err);
    if (s)
        return s;
    for (size_t at = 0; at < shard->len; at += HASH_STEP) {
        size_t n = shard->len - at < HASH_STEP ? shard->len - at : HASH_STEP;
        hash_more(run, shard->map + at, n);
        drop_pages(shard->map + at, n);
    }
    return hash_end_hex(run, out, err);
}

static enum status hash_shards(
    const struct tensors *t, char out[HASH_HEX], struct error *err)
{
    if (t->n_shards == 1)
        return hash_shard(&t->shards[0], out, err);
    struct hash_run *run = NULL;
    enum status s = hash_begin(&run, err);
    if (s)
        return s;
    for (size_t i = 0; i < t->n_shards && !s; i++) {
        char hex[HASH_HEX];
        s = hash_shard(&t->shards[i], hex, err);
        hash_more(run, hex, s ? 0 : HASH_HEX - 1);
        hash_more(run, "\n", 1);
    }
    enum status ended = hash_end_hex(run, out, s ? NULL : err);
    return s ? s : ended;
}

enum status tensors_sha256(struct tensors *t, char out[HASH_HEX], struct error *err)
{
    out[0] = '\0';
    if (!t->sha256[0]) {
        enum status s = hash_shards(t, t->sha256, err);
        if (s) {
            t->sha256[0] = '\0';
            return s;
        }
    }
    memcpy(out, t->sha256, HASH_HEX);
    return OK;
}
