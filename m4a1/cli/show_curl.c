/* show_curl.c - see show_curl.h.
 *
 * The store holds a request with "sha256:HASH" for each picture and sound.  Whether the
 * protocol put pictures there as data URLs or as bare base64 is found by trying: the right
 * one gives the body the hash that was stored when it was sent.  Sound is bare base64 in
 * every protocol that takes it. */
#include "m4a1/cli/show_curl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/frame_cache.h"
#include "collectors/llm/protocol.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/llm.h"
#include "schema/payload.h"
#include "schema/query.h"

#define MAX_BODY (64u << 20)
#define MARK "sha256:"
#define HERE "M4A1_BODY"

struct sent {
    int64_t llm_id, number;
    int is_simulated; /* its answer is */
    char sha256[HASH_HEX];
    struct buffer stored;
};

static enum status read_sent(struct store *store, int64_t call_id, int64_t number,
    struct sent *out, struct error *err)
{
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT c.llm_id, a.number, a.request_sha256, a.request, EXISTS (SELECT 1 FROM"
        " response r WHERE r.attempt_id = a.attempt_id AND r.simulated)"
        " FROM attempt a JOIN call c"
        " USING (call_id) WHERE call_id = ?1 AND number = CASE ?2 WHEN 0 THEN"
        " (SELECT max(number) FROM attempt WHERE call_id = ?1) ELSE ?2 END",
        &q, err);
    if (s)
        return s;
    query_bind(q, "ii", call_id, number);
    s = query_next(q, err);
    if (!s && !query_has_row(q)) {
        s = error_set(err, E_NOT_FOUND,
            "%s has no such attempt of call %lld: it was not sent yet, or is not there",
            store_path(store), (long long)call_id);
    } else if (!s) {
        size_t len = 0;
        const void *packed = query_bytes(q, 3, &len);
        out->llm_id = query_int(q, 0);
        out->number = query_int(q, 1);
        out->is_simulated = query_int(q, 4) != 0;
        snprintf(out->sha256, sizeof out->sha256, "%s", query_text(q, 2));
        s = payload_unpack(packed, len, &out->stored, err);
    }
    query_close(q);
    return s;
}

/* Append the frame with this hash as the protocol may have sent it; 0 where the store has
 * no such frame. */
static enum status add_frame(struct store *store, struct frame_cache *cache,
    const char *hash, int is_data_url, struct buffer *out, int *found, struct error *err)
{
    char hex[HASH_HEX];
    struct frame *image = NULL;
    const char *text = NULL;
    size_t len = 0;
    int64_t frame_id = 0;
    snprintf(hex, sizeof hex, "%.*s", HASH_HEX - 1, hash);
    enum status s = store_int(store, 0, &frame_id, err,
        "SELECT frame_id FROM frame WHERE sha256 = ?", "t", hex);
    *found = frame_id != 0;
    if (s || !frame_id)
        return s;
    s = frame_cache_get(cache, store, frame_id, &image, err);
    if (!s)
        s = frame_encoded(image,
            is_data_url && !text_starts(frame_media_type(image), "audio/"), &text, &len,
            err);
    if (!s)
        buffer_add(out, text, len);
    frame_release(image);
    return s;
}

/* The body as it may have been sent. */
static enum status restore(struct store *store, struct frame_cache *cache,
    const struct sent *sent, int is_data_url, struct buffer *out, struct error *err)
{
    const char *rest = buffer_str(&sent->stored), *mark;
    enum status s = OK;
    while (!s && (mark = strstr(rest, MARK))) {
        const char *hash = mark + strlen(MARK);
        int found = 0;
        buffer_add(out, rest, (size_t)(mark - rest));
        rest = hash;
        if (strspn(hash, "0123456789abcdef") >= HASH_HEX - 1)
            s = add_frame(store, cache, hash, is_data_url, out, &found, err);
        if (found)
            rest = hash + HASH_HEX - 1;
        else
            buffer_add_str(out, MARK);
    }
    buffer_add_str(out, rest);
    return s ? s : buffer_status(out, "request body", err);
}

static enum status find_body(
    struct store *store, const struct sent *sent, struct buffer *body, struct error *err)
{
    struct frame_cache *cache = NULL;
    enum status s = frame_cache_new(0, &cache, err);
    char sha256[HASH_HEX] = "";
    for (int is_data_url = 1; !s && is_data_url >= 0; is_data_url--) {
        buffer_clear(body);
        s = restore(store, cache, sent, is_data_url, body, err);
        hash_hex(buffer_str(body), body->len, sha256);
        if (!s && text_equal(sha256, sent->sha256))
            break;
    }
    if (!s && !text_equal(sha256, sent->sha256))
        s = error_set(err, E_DATA,
            "attempt %lld cannot be put together as it was sent: a frame of it is not "
            "in "
            "the store",
            (long long)sent->number);
    frame_cache_free(cache);
    return s;
}

/* 'text' for a shell. */
static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text; text++)
        if (*text == '\'')
            printf("'\\''");
        else
            putchar(*text);
    putchar('\'');
}

static void print_lines(const char *lines, int with_variables)
{
    for (const char *line = lines; *line;) {
        size_t n = strcspn(line, "\n");
        char *copy = text_copy_n(line, n);
        printf(" \\\n    -H ");
        if (with_variables) // the shell puts the key in
            printf("\"%s\"", copy ? copy : "");
        else
            print_quoted(copy ? copy : "");
        free(copy);
        line += line[n] ? n + 1 : n;
    }
}

/* curl signs by itself; a token of temporary keys goes beside. */
static void print_signature(const struct key_use *key)
{
    const struct key_variable *v = key->variables;
    printf(" \\\n    --aws-sigv4 \"aws:amz:%s:bedrock\" -u \"$%s:$%s\"", key->scope,
        v[0].env, v[1].env);
    for (size_t i = 2; i < key->n_variables; i++)
        printf(" \\\n    ${%s:+-H \"x-amz-security-token: $%s\"}", v[i].env, v[i].env);
}

static enum status print_command(const struct llm *llm, const struct sent *sent,
    const struct buffer *body, struct error *err)
{
    const struct protocol *p = protocol_find(llm->protocol);
    if (!p || !llm->url)
        return error_set(err, E_NOT_FOUND,
            "llm %s has no address, or a protocol that this m4a1 does not speak",
            llm->name);
    char *url = protocol_url(p, llm, llm->url), *headers = protocol_headers(p, llm);
    struct key_use key = protocol_key(p, llm);
    struct buffer lines;
    buffer_init(&lines, MAX_BODY);
    if (key.way != KEY_SIGNED)
        key_lines_shown(&key, &lines);
    enum status s = url && headers ? OK : error_nomem(err, 1);
    if (!s) {
        if (sent->is_simulated)
            printf("# The simulator answered this call; this asks (and pays) the llm "
                   "itself.\n");
        printf("curl -sS ");
        print_quoted(url);
        print_lines("Content-Type: application/json\n", 0);
        print_lines(headers, 0);
        print_lines(buffer_str(&lines), 1);
        if (key.way == KEY_SIGNED)
            print_signature(&key);
        printf(
            " \\\n    --data-binary @- <<'%s'\n%s\n%s\n", HERE, buffer_str(body), HERE);
    }
    buffer_release(&lines);
    free(url);
    free(headers);
    return s;
}

enum status show_curl(
    struct store *store, int64_t call_id, int64_t number, struct error *err)
{
    struct sent sent = { 0 };
    struct buffer body;
    struct llm *llms = NULL;
    size_t n = 0;
    buffer_init(&sent.stored, MAX_BODY);
    buffer_init(&body, MAX_BODY);
    enum status s = read_sent(store, call_id, number, &sent, err);
    if (!s)
        s = find_body(store, &sent, &body, err);
    if (!s)
        s = llm_load_all(store, 1, &llms, &n, err);
    for (size_t i = 0; !s && i < n; i++)
        if (llms[i].llm_id == sent.llm_id)
            s = print_command(&llms[i], &sent, &body, err);
    llm_free_all(llms, n);
    buffer_release(&sent.stored);
    buffer_release(&body);
    return s;
}
