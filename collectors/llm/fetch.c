/* fetch.c - see fetch.h. */
#include "collectors/llm/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collectors/llm/network.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"

#define MAX_LINES (64u << 10)

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct fetched *f = arg;
    return buffer_add(&f->body, data, size * n) == OK ? size * n : 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct fetched *f = arg;
    char text[64];
    size_t len = size * n < sizeof text ? size * n : sizeof text - 1;
    memcpy(text, line, len);
    text[len] = '\0';
    struct tm tm = { 0 };
    if (len > 6 && !strncasecmp(text, "date: ", 6) &&
        strptime(text + 6, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        f->date_ms = (int64_t)timegm(&tm) * 1000;
    return size * n;
}

static int add_lines(struct curl_slist **list, char *lines)
{
    for (char *line = lines; *line;) {
        size_t n = strcspn(line, "\n");
        int more = line[n] != '\0';
        line[n] = '\0';
        struct curl_slist *longer = curl_slist_append(*list, line);
        if (!longer)
            return 0;
        *list = longer;
        line += n + (size_t)more;
    }
    return 1;
}

static enum status set_headers(struct curl_slist **list, const char *url,
    const struct key_use *key, const char *body, struct error *err)
{
    char type[] = "Content-Type: application/json";
    if (body && !add_lines(list, type))
        return error_nomem(err, sizeof type);
    if (!key)
        return OK;
    struct key_request request = { body ? "POST" : "GET", url, "", NULL,
        clock_wall_ms() };
    struct buffer lines;
    buffer_init(&lines, MAX_LINES);
    enum status s = key_lines(key, NULL, &request, &lines, err);
    if (s == OK && lines.len && !add_lines(list, lines.data))
        s = error_nomem(err, lines.len);
    key_wipe(&lines);
    return s;
}

static void set_options(CURL *e, const char *url, const char *body,
    struct curl_slist *headers, long timeout_ms, struct fetched *out, char *why)
{
    network_set(e, url);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, out);
    if (body)
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, body);
}

enum status fetch(const char *url, const struct key_use *key, const char *body,
    int64_t timeout_ns, struct fetched *out, struct error *err)
{
    *out = (struct fetched) { .date_ms = -1 };
    buffer_init(&out->body, FETCH_MAX_BODY);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, E_NET, "libcurl could not be started");
    struct curl_slist *headers = NULL;
    char why[CURL_ERROR_SIZE] = "";
    CURL *e = curl_easy_init();
    enum status s = e ? set_headers(&headers, url, key, body, err) : error_nomem(err, 1);
    if (s == OK) {
        set_options(e, url, body, headers, (long)(timeout_ns / 1000000), out, why);
        CURLcode code = curl_easy_perform(e);
        long status = 0;
        curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
        out->http_status = (int)status;
        network_explain(e, code, why, sizeof why);
        if (key) { // a server may quote what it was sent
            key_scrub(key, out->body.data, out->body.len);
            key_scrub(key, why, strlen(why));
        }
        if (code != CURLE_OK)
            s = error_set(
                err, E_NET, "%s: %s", url, *why ? why : curl_easy_strerror(code));
    }
    for (struct curl_slist *h = headers; h; h = h->next)
        explicit_bzero(h->data, strlen(h->data));
    curl_slist_free_all(headers);
    curl_easy_cleanup(e);
    curl_global_cleanup();
    return s;
}

void fetched_release(struct fetched *f)
{
    buffer_release(&f->body);
}
