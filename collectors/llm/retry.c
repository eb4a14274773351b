/* retry.c - see retry.h. */
#include "collectors/llm/retry.h"

#include <math.h>
#include <stdlib.h>
#include <float.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "m4a1/base/text.h"

#define FIRST_WAIT_NS (SECOND_NS / 2)
#define MAX_WAIT_NS (8 * SECOND_NS)
#define MAX_ASKED_S (7 * 86400.0) /* beyond this the exact figure does not matter */

static int is_final_class(enum failure failure, int http_status)
{
    switch (failure) {
    case FAILURE_QUOTA:
    case FAILURE_AUTH:
    case FAILURE_FILTER:
    case FAILURE_TOO_LARGE: return 1;
    case FAILURE_REQUEST: return http_status != 409;
    default: return 0;
    }
}

int retry_is_final(enum failure failure, int http_status, const char *headers)
{
    char word[16];
    if (failure == FAILURE_QUOTA)
        return 1;
    if (wire_header(headers, "x-should-retry", word, sizeof word)) {
        if (!strcasecmp(word, "true"))
            return 0;
        if (!strcasecmp(word, "false"))
            return 1;
    }
    return is_final_class(failure, http_status);
}

static int64_t seconds_to_ns(double s)
{
    return s < 0 ? -1 : (int64_t)((s < MAX_ASKED_S ? s : MAX_ASKED_S) * 1e9);
}

/* The date of a header in seconds since 1970. */
static int header_date(const char *headers, const char *name, double *out_s)
{
    char value[64];
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    if (!wire_header(headers, name, value, sizeof value))
        return 0;
    const char *end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end)
        return 0;
    *out_s = (double)timegm(&tm);
    return 1;
}

/* What the server takes for now, so that a clock of this machine that is wrong or jumps
 * makes no wait longer or shorter. */
static double server_now_s(const char *headers, int64_t now_wall_ms)
{
    double now_s = 0;
    return header_date(headers, "date", &now_s) ? now_s : (double)now_wall_ms / 1e3;
}

int64_t retry_after_ns(const char *headers, int64_t now_wall_ms)
{
    char value[64];
    double x = 0;
    if (wire_header(headers, "retry-after-ms", value, sizeof value) &&
        text_to_double(value, "retry-after-ms", 0, DBL_MAX, &x, NULL) == OK)
        return seconds_to_ns(x / 1e3);
    if (!wire_header(headers, "retry-after", value, sizeof value))
        return -1;
    if (text_to_double(value, "retry-after", 0, DBL_MAX, &x, NULL) == OK)
        return seconds_to_ns(x);
    if (!header_date(headers, "retry-after", &x))
        return -1;
    double wait_s = x - server_now_s(headers, now_wall_ms);
    return wait_s < 0 ? 0 : seconds_to_ns(wait_s);
}

int64_t retry_wait_ns(
    int n_failed, const char *headers, int64_t now_wall_ms, struct rng *rng)
{
    int64_t asked = retry_after_ns(headers, now_wall_ms);
    if (asked > 0) // 0, or a date that is over, says nothing of how long to wait
        return asked;
    int64_t wait = FIRST_WAIT_NS;
    for (int i = 1; i < n_failed && wait < MAX_WAIT_NS; i++)
        wait *= 2;
    if (wait > MAX_WAIT_NS)
        wait = MAX_WAIT_NS;
    return wait - (int64_t)((double)wait * 0.25 * rng_uniform(rng));
}

/* "6m0s", "1.5s", "20ms", "1h2m3s"; -1 where it is none of these. */
static int64_t duration_ns(const char *s)
{
    static const struct {
        const char *unit;
        double s;
    } units[] = { { "ms", 1e-3 }, { "us", 1e-6 }, { "ns", 1e-9 }, { "h", 3600 },
        { "m", 60 }, { "s", 1 }, { "d", 86400 } };
    double total = 0;
    if (!*s)
        return -1;
    while (*s) {
        size_t n = strspn(s, "0123456789.");
        char number[32];
        double x = 0;
        if (!n || n >= sizeof number)
            return -1;
        memcpy(number, s, n);
        number[n] = '\0';
        if (text_to_double(number, "reset", 0, 1e9, &x, NULL) != OK)
            return -1;
        s += n;
        size_t u = 0;
        while (u < COUNT_OF(units) && !text_starts(s, units[u].unit))
            u++;
        if (u == COUNT_OF(units) && *s)
            return -1;
        total += u < COUNT_OF(units) ? x * units[u].s : x; // a bare number is seconds
        s += u < COUNT_OF(units) ? strlen(units[u].unit) : 0;
    }
    return seconds_to_ns(total);
}

/* "2026-11-22T10:00:00Z", with a fraction or an offset; -1 where it is none. */
static int64_t until_ns(const char *s, double now_s)
{
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return -1;
    double at_s = (double)timegm(&tm);
    if (*rest == '.') { // a part of a second is waited for in full
        rest += 1 + strspn(rest + 1, "0123456789");
        at_s += 1;
    }
    memset(&tm, 0, sizeof tm);
    if (*rest == '+' || *rest == '-') {
        const char *end = strptime(rest + 1, "%H:%M", &tm);
        if (!end || *end)
            return -1;
        at_s += (*rest == '+' ? -1 : 1) * (tm.tm_hour * 3600.0 + tm.tm_min * 60.0);
    } else if (strcmp(rest, "Z") != 0) {
        return -1;
    }
    double wait_s = at_s - now_s;
    return wait_s < 0 ? 0 : seconds_to_ns(wait_s);
}

int64_t retry_exhausted_ns(const char *headers, int64_t now_wall_ms)
{
    static const struct {
        const char *remaining, *reset;
        int is_time;
    } names[] = {
        { "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", 0 },
        { "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", 0 },
        { "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset",
            1 },
        { "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset", 1 },
        { "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset", 1 },
        { "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset", 1 },
    };
    int64_t longest = 0;
    double now_s = server_now_s(headers, now_wall_ms);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char value[64];
        if (!wire_header(headers, names[i].remaining, value, sizeof value) ||
            strcmp(value, "0") != 0)
            continue;
        if (!wire_header(headers, names[i].reset, value, sizeof value))
            continue;
        int64_t ns = names[i].is_time ? until_ns(value, now_s) : duration_ns(value);
        longest = ns > longest ? ns : longest;
    }
    return longest;
}
