/* text.c - strings, names and figures for people. */
#include "m4a1/base/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

char *text_copy(const char *s)
{
    return s ? text_copy_n(s, strlen(s)) : NULL;
}

char *text_copy_n(const char *s, size_t len)
{
    char *copy = malloc(len + 1);
    if (copy) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

char *text_format(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = n < 0 ? NULL : malloc((size_t)n + 1);
    if (!text)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

int text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

int text_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

int text_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

size_t text_utf8_valid(const char *s, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if (!((unsigned char)s[i] & 0x80)) {
            i++;
            continue;
        }
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(
            (const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(len - i), &c);
        if (n <= 0)
            return i;
        i += (size_t)n;
    }
    return len;
}

#define NEAREST_MAX 48 /* longer words are compared by their beginning */

/* Optimal string alignment: insertions, deletions, changes, swaps of neighbours. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t n = strnlen(a, NEAREST_MAX), m = strnlen(b, NEAREST_MAX);
    size_t rows[3][NEAREST_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3],
               *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *text_nearest(const char *word, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    size_t least = strlen(word) / 3 + 2; /* farther than this helps nobody */
    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(word, names[i]);
        if (d < least || (text_starts(names[i], word) && !nearest)) {
            least = d < least ? d : least;
            nearest = names[i];
        }
    }
    return nearest;
}

enum status text_to_int(const char *s, const char *what, int64_t min, int64_t max,
    int64_t *out, struct error *err)
{
    *out = 0;
    char *end;
    errno = 0;
    long long x = strtoll(s, &end, 10);
    int whole = end != s && !*end && (s[0] == '-' || (s[0] >= '0' && s[0] <= '9'));
    if (!whole || errno || x < min || x > max)
        return error_set(err, E_ARG,
            "%s: expected a whole number from %lld to %lld, found '%s'", what,
            (long long)min, (long long)max, s);
    *out = x;
    return OK;
}

enum status text_to_double(const char *s, const char *what, double min, double max,
    double *out, struct error *err)
{
    *out = 0;
    char *end;
    double x = strtod(s, &end);
    int whole = end != s && !*end && s[0] != ' ' && isfinite(x) && !strpbrk(s, "xX");
    if (!whole || x < min || x > max)
        return error_set(err, E_ARG, "%s: expected a number from %g to %g, found '%s'",
            what, min, max, s);
    *out = x;
    return OK;
}

const char *text_bytes(double n_bytes, char *buf, size_t size)
{
    static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
    size_t u = 0;
    while (n_bytes >= 1000 && u + 1 < COUNT_OF(units)) {
        n_bytes /= 1000;
        u++;
    }
    snprintf(buf, size, u ? "%.1f %s" : "%.0f %s", n_bytes, units[u]);
    return buf;
}

const char *text_duration(double seconds, char *buf, size_t size)
{
    if (seconds < 1)
        snprintf(buf, size, "%.0f ms", seconds * 1e3);
    else if (seconds < 60)
        snprintf(buf, size, "%.1f s", seconds);
    else if (seconds < 3600)
        snprintf(buf, size, "%d min %d s", (int)seconds / 60, (int)seconds % 60);
    else
        snprintf(buf, size, "%ld h %d min", (long)(seconds / 3600),
            (int)(fmod(seconds, 3600) / 60));
    return buf;
}

const char *text_usd(double usd, char *buf, size_t size)
{
    double x = fabs(usd);
    snprintf(buf, size,
        x >= 10 || usd == 0 ? "$%.2f"
        : x >= 0.00005      ? "$%.4f"
        : x >= 0.0000005    ? "$%.6f" // what is not nothing does not look so
                            : "$%.1e",
        usd);
    return buf;
}

const char *text_double(double x, char buf[32])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, x);
        if (strtod(buf, NULL) == x)
            break;
    }
    return buf;
}

const char *text_s(int64_t n)
{
    return n == 1 ? "" : "s";
}
