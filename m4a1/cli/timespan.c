/* timespan.c - see timespan.h. */
#include "m4a1/cli/timespan.h"

#include <string.h>
#include <time.h>

#include "m4a1/base/text.h"

static int next_time_of_day(const char *text, int64_t now_ms, int64_t *out_ms)
{
    struct tm clock = { 0 }, day = { 0 };
    const char *end = strptime(text, "%H:%M", &clock);
    time_t now = (time_t)(now_ms / 1000);
    if (!end || *end || !localtime_r(&now, &day))
        return 0;
    day.tm_hour = clock.tm_hour;
    day.tm_min = clock.tm_min;
    day.tm_sec = 0;
    day.tm_isdst = -1;
    struct tm tomorrow = day;
    time_t at = mktime(&day);
    if (at != (time_t)-1 && at <= now) {
        tomorrow.tm_mday++;
        at = mktime(&tomorrow);
    }
    *out_ms = (int64_t)at * 1000;
    return at != (time_t)-1;
}

int timespan_until(const char *text, int64_t now_ms, int64_t *out_ms)
{
    static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M" };
    *out_ms = 0;
    if (next_time_of_day(text, now_ms, out_ms))
        return 1;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct tm tm = { .tm_isdst = -1 };
        const char *end = strptime(text, forms[i], &tm);
        if (!end || (*end && !text_equal(end, "Z")))
            continue;
        time_t at = *end ? timegm(&tm) : mktime(&tm);
        *out_ms = (int64_t)at * 1000;
        return at != (time_t)-1;
    }
    return 0;
}

int timespan_length(const char *text, int64_t *out_ms)
{
    static const char units[] = "dhms";
    static const int64_t unit_ms[] = { 86400000, 3600000, 60000, 1000 };
    size_t least = 0; // units fall: 1h30m, never 30m1h
    *out_ms = 0;
    while (*text) {
        size_t n = strspn(text, "0123456789");
        const char *unit = n && text[n] ? strchr(units, text[n]) : NULL;
        char digits[12];
        int64_t x = 0;
        if (!unit || n >= sizeof digits || (size_t)(unit - units) < least)
            return 0;
        memcpy(digits, text, n);
        digits[n] = '\0';
        if (text_to_int(digits, "", 0, 100000000, &x, NULL) != OK)
            return 0;
        least = (size_t)(unit - units) + 1;
        *out_ms += x * unit_ms[unit - units];
        text += n + 1;
    }
    return *out_ms > 0 && *out_ms <= TIMESPAN_LONGEST_MS;
}
