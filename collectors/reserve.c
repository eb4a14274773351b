/* reserve.c - see reserve.h.
 *
 * A first line that names the form, then a line of JSON an attempt; what is not used yet
 * is zero bytes.  Bytes that came over the wire are in hex, the body compressed; stamps
 * count from the moment when the call was taken from the queue. */
#include "collectors/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/ledger.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/log.h"
#include "m4a1/base/text.h"
#include "schema/payload.h"
#include "schema/query.h"

#define HEAD "m4a1-reserve-1\n"
#define BASE_BYTES (1u << 20)
#define CALL_BYTES (64u << 10) /* most answers take a tenth of it */
#define MAX_RECORD (64u << 20)
#define MAX_FILE (1u << 30)

struct reserve {
    char *path;
    int fd;
    size_t len, size; /* written; allocated */
    int64_t n_kept;
};

/* Beside the store's real file, by whatever name a run opens it; NULL without memory. */
static char *path_of(struct store *store)
{
    char *real = realpath(store_path(store), NULL);
    char *path = text_format("%s.reserve", real ? real : store_path(store));
    free(real);
    return path;
}

enum status reserve_open(
    struct store *store, int n_calls, struct reserve **out, struct error *err)
{
    *out = NULL;
    struct reserve *r = calloc(1, sizeof *r);
    char *path = path_of(store);
    if (!r || !path) {
        free(r);
        free(path);
        return error_nomem(err, sizeof *r);
    }
    r->path = path;
    r->size = BASE_BYTES + (size_t)n_calls * CALL_BYTES;
    r->len = strlen(HEAD);
    r->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    int why = r->fd < 0 ? errno : posix_fallocate(r->fd, 0, (off_t)r->size);
    if (!why && pwrite(r->fd, HEAD, r->len, 0) != (ssize_t)r->len)
        why = errno;
    if (!why && fsync(r->fd) != 0)
        why = errno;
    if (why) {
        char size[32];
        text_bytes((double)r->size, size, sizeof size);
        reserve_close(r);
        errno = why;
        return error_errno(err,
            "nothing was sent: no room for %s (%s, which keep paid answers safe should "
            "the "
            "disk become full); free space",
            path_base(store_path(store)), size);
    }
    *out = r;
    return OK;
}

void reserve_close(struct reserve *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    if (!r->n_kept)
        unlink(r->path);
    free(r->path);
    free(r);
}

int64_t reserve_n_kept(const struct reserve *r)
{
    return r ? r->n_kept : 0;
}

const char *reserve_path(const struct reserve *r)
{
    return r->path;
}

/* ---- writing -------------------------------------------------------------------- */

static int set_hex(struct json *j, const char *key, const struct buffer *bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc(2 * bytes->len + 1);
    if (!hex)
        return 0;
    for (size_t i = 0; i < bytes->len; i++) {
        hex[2 * i] = digits[(unsigned char)bytes->data[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)bytes->data[i] & 15];
    }
    hex[2 * bytes->len] = '\0';
    int ok = json_set_text(j, key, hex) != NULL;
    free(hex);
    return ok;
}

/* Stamps by name: as they are in the exchange, and in the record. */
struct stamp {
    const char *key;
    int64_t *at;
};

#define N_STAMPS 6

static void list_stamps(struct job *job, struct stamp out[N_STAMPS])
{
    struct exchange *ex = &job->exchange;
    const struct stamp all[N_STAMPS] = { { "handed", &job->handed_ns },
        { "sent", &ex->sent_mono_ns }, { "uploaded", &ex->uploaded_mono_ns },
        { "first_byte", &ex->first_byte_mono_ns },
        { "last_byte", &ex->last_byte_mono_ns }, { "first_token", NULL } };
    memcpy(out, all, sizeof all);
}

static int set_stamp(struct json *j, const char *key, int64_t at, int64_t zero)
{
    return json_set_int(j, key, at ? at - zero + 1 : 0) != NULL;
}

static enum status write_record(
    const struct job *job, struct buffer *out, struct error *err)
{
    const struct exchange *ex = &job->exchange;
    struct stamp stamps[N_STAMPS];
    // Only read here: the same list serves for writing back.
    list_stamps((struct job *)(uintptr_t)job, stamps);
    struct json *j = json_new_object();
    int ok = json_set_int(j, "attempt_id", job->attempt_id) &&
             json_set_text(j, "request_sha256", job->request_sha256) &&
             json_set_bool(j, "is_simulated", job->is_simulated) &&
             json_set_int(j, "end", ex->end) &&
             json_set_int(j, "http_status", ex->http_status) &&
             json_set_int(j, "reused", ex->reused) &&
             json_set_int(j, "name_lookup_ns", ex->name_lookup_ns) &&
             json_set_int(j, "connect_ns", ex->connect_ns) &&
             json_set_int(j, "loop_lag_ns", ex->loop_lag_ns) &&
             json_set_int(j, "first_token_end", (int64_t)job->answer.first_token_end) &&
             set_hex(j, "headers", &ex->headers) &&
             set_hex(j, "received", &job->packed_received);
    struct buffer error = { .data = (char *)(uintptr_t)ex->error,
        .len = strlen(ex->error) };
    ok = ok && set_hex(j, "error", &error);
    for (size_t i = 0; ok && i + 1 < N_STAMPS; i++)
        ok = set_stamp(j, stamps[i].key, *stamps[i].at, job->picked_ns);
    ok = ok && set_stamp(j, "first_token",
                   exchange_arrival(ex, job->answer.first_token_end), job->picked_ns);
    enum status s = ok ? json_print(j, JSON_COMPACT, out, err) : error_nomem(err, 1);
    if (s == OK && buffer_add_char(out, '\n') != OK)
        s = buffer_status(out, "record", err);
    json_free(j);
    return s;
}

enum status reserve_keep(struct reserve *r, const struct job *job, struct error *err)
{
    struct buffer record;
    buffer_init(&record, MAX_RECORD);
    enum status s = write_record(job, &record, err);
    // Beyond its size the file would have to grow, which the disk may or may not let it.
    if (s == OK &&
        pwrite(r->fd, record.data, record.len, (off_t)r->len) != (ssize_t)record.len)
        s = error_set(err, E_LIMIT, "%s has no room for another answer", r->path);
    if (s == OK && fsync(r->fd) != 0)
        s = error_errno(err, "cannot write %s", r->path);
    if (s == OK) {
        r->len += record.len;
        r->n_kept++;
    }
    buffer_release(&record);
    return s;
}

/* ---- reading -------------------------------------------------------------------- */

static int value_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int get_hex(const struct json *j, const char *key, struct buffer *out)
{
    const char *hex = json_text(json_get(j, key), NULL);
    for (; hex && *hex; hex += 2) {
        int high = value_of(hex[0]), low = high < 0 ? -1 : value_of(hex[1]);
        if (low < 0 || buffer_add_char(out, (char)(high * 16 + low)) != OK)
            return 0;
    }
    return hex != NULL;
}

/* The outcome of an exchange as it was kept. */
static enum status read_record(const struct json *j, struct job *job, struct error *err)
{
    struct exchange *ex = &job->exchange;
    struct stamp stamps[N_STAMPS];
    struct buffer packed, error;
    buffer_init(&packed, MAX_RECORD);
    buffer_init(&error, sizeof ex->error);
    list_stamps(job, stamps);
    job->picked_ns = 1;
    for (size_t i = 0; i + 1 < N_STAMPS; i++)
        *stamps[i].at = json_int(json_get(j, stamps[i].key), 0);
    job->is_simulated = json_bool(json_get(j, "is_simulated"), 0);
    ex->end = (enum exchange_end)json_int(json_get(j, "end"), EXCHANGE_BROKEN);
    ex->http_status = (int)json_int(json_get(j, "http_status"), 0);
    ex->reused = (int)json_int(json_get(j, "reused"), 0);
    ex->name_lookup_ns = json_int(json_get(j, "name_lookup_ns"), 0);
    ex->connect_ns = json_int(json_get(j, "connect_ns"), 0);
    ex->loop_lag_ns = json_int(json_get(j, "loop_lag_ns"), 0);
    int ok = get_hex(j, "headers", &ex->headers) && get_hex(j, "received", &packed) &&
             get_hex(j, "error", &error);
    snprintf(ex->error, sizeof ex->error, "%s", buffer_str(&error));
    enum status s = ok ? OK : error_set(err, E_DATA, "a record is damaged");
    if (s == OK && packed.len)
        s = payload_unpack(packed.data, packed.len, &ex->received, err);
    int64_t token = json_int(json_get(j, "first_token"), 0);
    if (s == OK && token) {
        ex->arrivals = malloc(sizeof *ex->arrivals);
        if (ex->arrivals) {
            size_t end = (size_t)json_int(json_get(j, "first_token_end"), 0);
            ex->arrivals[ex->n_arrivals++] = (struct arrival) { end, token };
        }
    }
    buffer_release(&packed);
    buffer_release(&error);
    return s;
}

/* The llm of an attempt that is open and asked this; NULL where there is none. */
static enum status find_open(struct store *store, const struct json *j,
    const struct llm *llms, size_t n, struct job *job, struct error *err)
{
    struct query *q = NULL;
    job->attempt_id = json_int(json_get(j, "attempt_id"), 0);
    enum status s = query_open(store,
        "SELECT a.call_id, c.llm_id FROM attempt a JOIN call c USING (call_id)"
        " WHERE attempt_id = ? AND status = 'sent' AND request_sha256 = ?",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "it", job->attempt_id, json_text(json_get(j, "request_sha256"), NULL));
    s = query_next(q, err);
    for (size_t i = 0; s == OK && query_has_row(q) && i < n; i++)
        if (llms[i].llm_id == query_int(q, 1)) {
            job->call_id = query_int(q, 0);
            job->llm = &llms[i];
            job->protocol = protocol_find(llms[i].protocol);
        }
    query_close(q);
    return s;
}

static enum status take_record(struct store *store, const char *line, size_t len,
    const struct llm *llms, size_t n_llms, int64_t *n_taken, struct error *err)
{
    struct json *j = NULL;
    struct job *job = job_new();
    enum status s = job ? json_parse(line, len, "reserve", 0, &j, err)
                        : error_nomem(err, sizeof *job);
    if (s == OK)
        s = find_open(store, j, llms, n_llms, job, err);
    if (s == OK && job->protocol) {
        s = read_record(j, job, err);
        if (s == OK) {
            job_read(job);
            s = job->is_read ? ledger_close(store, job, 0, err)
                             : error_set(err, job->failed.code, "%s", job->failed.msg);
        }
        *n_taken += s == OK;
    }
    json_free(j);
    job_free(job);
    return s;
}

static enum status take_all(struct store *store, const struct buffer *file,
    const struct llm *llms, size_t n_llms, int64_t *n_taken, struct error *err)
{
    enum status s = store_begin(store, err);
    const char *line = file->data + strlen(HEAD), *end = file->data + file->len;
    while (s == OK && line < end && *line) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) // cut while it was written: it was never told as kept
            break;
        s = take_record(store, line, (size_t)(stop - line), llms, n_llms, n_taken, err);
        line = stop + 1;
    }
    if (s == OK)
        s = store_commit(store, err);
    if (s != OK)
        store_rollback(store);
    return s;
}

enum status reserve_take_in(struct store *store, const struct llm *llms, size_t n_llms,
    int64_t *n_taken, struct error *err)
{
    struct buffer file;
    char *path = path_of(store);
    *n_taken = 0;
    if (!path)
        return error_nomem(err, 1);
    buffer_init(&file, MAX_FILE);
    enum status s = OK;
    if (file_exists(path)) {
        s = file_read(path, &file, err);
        if (s == OK && text_starts(buffer_str(&file), HEAD))
            s = take_all(store, &file, llms, n_llms, n_taken, err);
        else if (s == OK && *buffer_str(&file))
            s = error_set(err, E_DATA, "it is not of this program: move it away");
        if (s != OK)
            (void)error_prefix(err,
                "%s holds answers of an earlier run that could not be taken in: ", path);
        else
            unlink(path);
    }
    if (*n_taken)
        log_info("%lld answers were taken in from %s", (long long)*n_taken, path);
    buffer_release(&file);
    free(path);
    return s;
}
