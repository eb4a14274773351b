/* server_facts.c - looks for members by name, without parsing the document.
 *
 * That is sound: a quote without a backslash before it begins or ends a JSON string, so
 * "name" with such quotes and a colon behind it is a member's name, and no text of an
 * answer can look like one.  The last of a name counts, as streams repeat them. */
#include "collectors/server_facts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "collectors/llm/protocol.h"
#include "m4a1/base/text.h"

#define NAME_MAX_LEN 32
#define LONGEST_NS 86400e9 /* beyond a day a figure is not believed */

/* Behind the colon of the last member of this name; NULL where there is none. */
static const char *find_member(const char *body, size_t len, const char *name)
{
    char quoted[NAME_MAX_LEN + 3];
    const char *found = NULL, *at = body, *end = body + len;
    size_t n = (size_t)snprintf(quoted, sizeof quoted, "\"%s\"", name);
    for (; (at = memchr(at, '"', (size_t)(end - at))); at++) {
        int escaped = at > body && at[-1] == '\\';
        if ((size_t)(end - at) < n || memcmp(at, quoted, n) != 0)
            continue;
        const char *p = at + n;
        while (p < end && isspace((unsigned char)*p))
            p++;
        if (!escaped && p < end && *p == ':')
            found = p + 1;
    }
    while (found && found < end && isspace((unsigned char)*found))
        found++;
    return found;
}

/* A member that is a number, times its unit in ns; -1 where it is not there. */
static int64_t find_ns(const char *body, size_t len, const char *name, double unit_ns)
{
    const char *at = find_member(body, len, name);
    char digits[40];
    double x = 0;
    if (!at)
        return -1;
    size_t n = strspn(at, "0123456789.eE+-");
    if (!n || n >= sizeof digits)
        return -1;
    memcpy(digits, at, n);
    digits[n] = '\0';
    if (text_to_double(digits, name, 0, LONGEST_NS / unit_ns, &x, NULL) != OK)
        return -1;
    return (int64_t)(x * unit_ns);
}

static void read_tier(const char *body, size_t len, struct server_facts *out)
{
    const char *at = find_member(body, len, "service_tier");
    if (!at || *at != '"')
        return;
    size_t n = strspn(at + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-");
    if (!n || n >= sizeof out->service_tier || at[1 + n] != '"')
        return;
    memcpy(out->service_tier, at + 1, n);
    out->service_tier[n] = '\0';
}

static int64_t header_ns(const char *headers)
{
    char value[32];
    double ms = 0;
    if (!wire_header(headers, "openai-processing-ms", value, sizeof value) ||
        text_to_double(value, "openai-processing-ms", 0, LONGEST_NS / 1e6, &ms, NULL))
        return -1;
    return (int64_t)(ms * 1e6);
}

void server_facts_read(
    const char *headers, const char *body, size_t len, struct server_facts *out)
{
    *out = (struct server_facts) { .load_ns = -1, .server_ns = -1 };
    read_tier(body, len, out);
    out->load_ns = find_ns(body, len, "load_duration", 1);
    out->server_ns = find_ns(body, len, "total_duration", 1);
    int64_t prompt = find_ns(body, len, "prompt_ms", 1e6);
    int64_t predicted = find_ns(body, len, "predicted_ms", 1e6);
    if (out->server_ns < 0 && prompt >= 0 && predicted >= 0)
        out->server_ns = prompt + predicted;
    if (out->server_ns < 0)
        out->server_ns = find_ns(body, len, "latencyMs", 1e6);
    // "total_time" alone could be anybody's: Groq's comes with its queue_time.
    if (out->server_ns < 0 && find_ns(body, len, "queue_time", 1e9) >= 0)
        out->server_ns = find_ns(body, len, "total_time", 1e9);
    if (out->server_ns < 0)
        out->server_ns = header_ns(headers);
}
