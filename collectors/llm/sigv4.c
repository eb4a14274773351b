/* sigv4.c - see sigv4.h.  A canonical request is six parts, each on its own line or
 * lines: method, path, query, headers, their names, hash of the body. */
#include "collectors/llm/sigv4.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define MAX_PAIRS 64         /* headers, or parameters of a query */
#define MAX_SEGMENTS 64      /* of a path */
#define MAX_PART (64u << 10) /* bytes of one part of a canonical request */
#define MAX_REQUEST (4u << 16)
#define DATE_SIZE sizeof "20150830T123600Z"
#define MAX_YEARS_MS INT64_C(253402300799999) /* the end of 9999 */

struct pair {
    char *name, *value;
};

struct pairs {
    struct pair items[MAX_PAIRS];
    size_t n;
};

static void free_pairs(struct pairs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i].value) // it may be a session token
            explicit_bzero(p->items[i].value, strlen(p->items[i].value));
        free(p->items[i].name);
        free(p->items[i].value);
    }
    p->n = 0;
}

/* Takes name and value over, whatever happens. */
static enum status add_pair(struct pairs *p, char *name, char *value, struct error *err)
{
    struct pair pair = { name, value };
    if (!name || !value || p->n == MAX_PAIRS) {
        free(name);
        free(value);
        return p->n == MAX_PAIRS ? error_set(err, E_ARG,
                                       "a signature over more than %d headers or "
                                       "parameters",
                                       MAX_PAIRS)
                                 : error_nomem(err, 1);
    }
    // Sorted by bytes as it grows; equal names keep their order.
    size_t at = p->n++;
    for (; at && strcmp(p->items[at - 1].name, name) > 0; at--)
        p->items[at] = p->items[at - 1];
    p->items[at] = pair;
    return OK;
}

static void add_encoded_char(struct buffer *out, unsigned char c)
{
    if (isalnum(c) || (c && strchr("-._~", c)))
        buffer_add_char(out, (char)c);
    else
        buffer_printf(out, "%%%02X", (unsigned)c);
}

/* ---- the address ---------------------------------------------------------------- */

struct address {
    const char *host, *path, *query;
    size_t n_host, n_path, n_query;
};

static enum status split_url(const char *url, struct address *a, struct error *err)
{
    const char *host = strstr(url, "://");
    const char *port = text_starts(url, "https:") ? ":443" : ":80";
    host = host ? host + 3 : "";
    a->host = host;
    a->n_host = strcspn(host, "/?#");
    a->path = host + a->n_host;
    a->n_path = strcspn(a->path, "?#");
    a->query = a->path + a->n_path + (a->path[a->n_path] == '?');
    a->n_query = a->path[a->n_path] == '?' ? strcspn(a->query, "#") : 0;
    const char *at = memchr(host, '@', a->n_host);
    if (at) {
        a->n_host -= (size_t)(at + 1 - host);
        a->host = at + 1;
    }
    // A port that the scheme has anyway is not in the Host header.
    size_t n_port = strlen(port);
    if (a->n_host > n_port && !memcmp(a->host + a->n_host - n_port, port, n_port))
        a->n_host -= n_port;
    if (!a->n_host)
        return error_set(err, E_ARG, "a signature needs an address with a host");
    return OK;
}

/* The path without empty and dot segments, each segment encoded (again). */
static enum status add_path(
    const struct address *a, struct buffer *out, struct error *err)
{
    struct {
        const char *s;
        size_t n;
    } segments[MAX_SEGMENTS];
    size_t n = 0;
    const char *end = a->path + a->n_path;
    for (const char *s = a->path; s < end;) {
        const char *slash = memchr(s, '/', (size_t)(end - s));
        size_t len = (size_t)((slash ? slash : end) - s);
        if (len == 2 && !memcmp(s, "..", 2)) {
            n -= n > 0;
        } else if (len && !(len == 1 && *s == '.')) {
            if (n == MAX_SEGMENTS)
                return error_set(
                    err, E_ARG, "a path of more than %d segments", MAX_SEGMENTS);
            segments[n].s = s;
            segments[n++].n = len;
        }
        s += len + (slash != NULL);
    }
    for (size_t i = 0; i < n; i++) {
        buffer_add_char(out, '/');
        for (size_t k = 0; k < segments[i].n; k++)
            add_encoded_char(out, (unsigned char)segments[i].s[k]);
    }
    if (!n || end[-1] == '/')
        buffer_add_char(out, '/');
    return OK;
}

/* A text of a query, its escapes undone and done again in one way. */
static char *recoded(const char *s, size_t len)
{
    struct buffer b;
    buffer_init(&b, MAX_PART);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        char hex[3] = { 0 };
        if (c == '%' && len - i > 2 && isxdigit((unsigned char)s[i + 1]) &&
            isxdigit((unsigned char)s[i + 2])) {
            memcpy(hex, s + i + 1, 2);
            c = (unsigned char)strtoul(hex, NULL, 16);
            i += 2;
        }
        add_encoded_char(&b, c);
    }
    char *text = b.failed ? NULL : text_copy(buffer_str(&b));
    buffer_release(&b);
    return text;
}

static void sort_values(struct pairs *p)
{
    for (size_t i = 1; i < p->n; i++)
        for (size_t k = i; k && !strcmp(p->items[k - 1].name, p->items[k].name) &&
                           strcmp(p->items[k - 1].value, p->items[k].value) > 0;
             k--) {
            struct pair swap = p->items[k];
            p->items[k] = p->items[k - 1];
            p->items[k - 1] = swap;
        }
}

static enum status add_query(
    const struct address *a, struct buffer *out, struct error *err)
{
    struct pairs pairs = { .n = 0 };
    enum status s = OK;
    const char *end = a->query + a->n_query;
    for (const char *q = a->query; s == OK && q < end;) {
        const char *stop = memchr(q, '&', (size_t)(end - q));
        size_t len = (size_t)((stop ? stop : end) - q);
        const char *equals = memchr(q, '=', len);
        size_t n_name = equals ? (size_t)(equals - q) : len;
        size_t skip = n_name + (equals != NULL);
        if (len)
            s = add_pair(&pairs, recoded(q, n_name), recoded(q + skip, len - skip), err);
        q += len + (stop != NULL);
    }
    sort_values(&pairs);
    for (size_t i = 0; i < pairs.n; i++)
        buffer_printf(
            out, "%s%s=%s", i ? "&" : "", pairs.items[i].name, pairs.items[i].value);
    free_pairs(&pairs);
    return s;
}

/* ---- headers -------------------------------------------------------------------- */

/* A value without blanks around it, runs of blanks inside as one. */
static char *trimmed(const char *s, size_t len)
{
    char *copy = text_copy_n(s, len);
    size_t n = 0;
    for (size_t i = 0; copy && i < len; i++)
        if (!isblank((unsigned char)s[i]) || (n && copy[n - 1] != ' '))
            copy[n++] = (char)(isblank((unsigned char)s[i]) ? ' ' : s[i]);
    if (copy)
        copy[n && copy[n - 1] == ' ' ? n - 1 : n] = '\0';
    return copy;
}

static enum status add_header(struct pairs *p, const char *name, size_t n_name,
    const char *value, size_t n_value, struct error *err)
{
    char *lower = text_copy_n(name, n_name);
    for (size_t i = 0; lower && i < n_name; i++)
        lower[i] = (char)tolower((unsigned char)lower[i]);
    return add_pair(p, lower, trimmed(value, n_value), err);
}

static enum status collect_headers(const struct sigv4 *in, const struct address *a,
    const char *amz_date, struct pairs *p, struct error *err)
{
    enum status s = add_header(p, "host", 4, a->host, a->n_host, err);
    if (s == OK)
        s = add_header(p, "x-amz-date", 10, amz_date, strlen(amz_date), err);
    if (s == OK && in->session_token)
        s = add_header(p, "x-amz-security-token", 20, in->session_token,
            strlen(in->session_token), err);
    for (const char *line = in->headers; s == OK && line && *line;) {
        size_t n = strcspn(line, "\n"), n_name = strcspn(line, ":\n");
        if (n_name && n_name < n)
            s = add_header(p, line, n_name, line + n_name + 1, n - n_name - 1, err);
        line += n + (line[n] == '\n');
    }
    return s;
}

static void add_headers(
    const struct pairs *p, struct buffer *out, struct buffer *signed_headers)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *name = p->items[i].name;
        buffer_printf(signed_headers, "%s%s", i ? ";" : "", name);
        buffer_printf(out, "%s:%s", name, p->items[i].value);
        while (i + 1 < p->n && !strcmp(p->items[i + 1].name, name))
            buffer_printf(out, ",%s", p->items[++i].value);
        buffer_add_char(out, '\n');
    }
    buffer_printf(out, "\n%s\n", buffer_str(signed_headers));
}

enum status sigv4_canonical(const struct sigv4 *in, const char *amz_date,
    struct buffer *out, struct buffer *signed_headers, struct error *err)
{
    struct address a;
    struct pairs pairs = { .n = 0 };
    enum status s = split_url(in->url, &a, err);
    if (s != OK)
        return s;
    buffer_printf(out, "%s\n", in->method);
    s = add_path(&a, out, err);
    buffer_add_char(out, '\n');
    if (s == OK)
        s = add_query(&a, out, err);
    buffer_add_char(out, '\n');
    if (s == OK)
        s = collect_headers(in, &a, amz_date, &pairs, err);
    add_headers(&pairs, out, signed_headers);
    buffer_add_str(out, in->body_sha256);
    free_pairs(&pairs);
    if (s == OK)
        s = buffer_status(out, "canonical request", err);
    return s == OK ? buffer_status(signed_headers, "names of headers", err) : s;
}

/* ---- the signature -------------------------------------------------------------- */

/* The key for a day, a region and a service: HMAC over HMAC. */
static enum status signing_key(
    const struct sigv4 *in, const char *day, uint8_t key[HASH_BYTES], struct error *err)
{
    const char *steps[] = { day, in->region, in->service, "aws4_request" };
    char *first = text_format("AWS4%s", in->secret_key);
    if (!first)
        return error_nomem(err, 1);
    enum status s = hash_hmac(first, strlen(first), steps[0], strlen(steps[0]), key, err);
    explicit_bzero(first, strlen(first));
    free(first);
    for (size_t i = 1; s == OK && i < COUNT_OF(steps); i++) {
        uint8_t next[HASH_BYTES];
        s = hash_hmac(key, HASH_BYTES, steps[i], strlen(steps[i]), next, err);
        memcpy(key, next, HASH_BYTES);
        explicit_bzero(next, sizeof next);
    }
    return s;
}

static enum status sign(const struct sigv4 *in, const char *amz_date,
    const char *canonical, size_t len, const char *scope, char out[HASH_HEX],
    struct error *err)
{
    char day[9] = { 0 }, hash[HASH_HEX];
    uint8_t key[HASH_BYTES], signature[HASH_BYTES];
    memcpy(day, amz_date, 8);
    hash_hex(canonical, len, hash);
    char *text = text_format(ALGORITHM "\n%s\n%s\n%s", amz_date, scope, hash);
    if (!text)
        return error_nomem(err, 1);
    enum status s = signing_key(in, day, key, err);
    if (s == OK)
        s = hash_hmac(key, sizeof key, text, strlen(text), signature, err);
    if (s == OK)
        hash_digits(signature, out);
    explicit_bzero(key, sizeof key);
    free(text);
    return s;
}

static enum status write_date(int64_t wall_ms, char date[DATE_SIZE], struct error *err)
{
    struct tm tm;
    time_t t = (time_t)(wall_ms / 1000);
    if (wall_ms < 0 || wall_ms > MAX_YEARS_MS || !gmtime_r(&t, &tm) ||
        strftime(date, DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) != DATE_SIZE - 1)
        return error_set(err, E_ARG, "a signature cannot be dated %lld ms after 1970",
            (long long)wall_ms);
    return OK;
}

static void add_lines(const struct sigv4 *in, const char *date, const char *scope,
    const char *signed_headers, const char *signature, struct buffer *lines)
{
    buffer_printf(lines, "X-Amz-Date: %s\n", date);
    if (in->session_token)
        buffer_printf(lines, "X-Amz-Security-Token: %s\n", in->session_token);
    buffer_printf(lines,
        "Authorization: " ALGORITHM " Credential=%s/%s, SignedHeaders=%s, "
        "Signature=%s\n",
        in->access_key, scope, signed_headers, signature);
}

enum status sigv4_sign(const struct sigv4 *in, struct buffer *lines, struct error *err)
{
    char date[DATE_SIZE], signature[HASH_HEX] = "";
    enum status s = write_date(in->wall_ms, date, err);
    if (s != OK)
        return s;
    struct buffer canonical, names;
    buffer_init(&canonical, MAX_REQUEST);
    buffer_init(&names, MAX_PART);
    char *scope = text_format("%.8s/%s/%s/aws4_request", date, in->region, in->service);
    s = scope ? sigv4_canonical(in, date, &canonical, &names, err) : error_nomem(err, 1);
    if (s == OK)
        s = sign(in, date, buffer_str(&canonical), canonical.len, scope, signature, err);
    if (s == OK) {
        add_lines(in, date, scope, buffer_str(&names), signature, lines);
        s = buffer_status(lines, "a signature", err);
    }
    if (canonical.data) // a session token is in it
        explicit_bzero(canonical.data, canonical.size);
    buffer_release(&canonical);
    buffer_release(&names);
    free(scope);
    return s;
}
