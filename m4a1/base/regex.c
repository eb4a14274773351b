/* regex.c - a thin wrapper on PCRE2. */
#include "m4a1/base/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "m4a1/base/unicode.h"

struct regex {
    pcre2_code *code;
};

struct regex_scan {
    const struct regex *regex;
    pcre2_match_data *match;
    const char *text;
    size_t len, at;
};

enum status regex_open(
    const char *pattern, unsigned flags, struct regex **out, struct error *err)
{
    *out = NULL;
    struct regex *regex = calloc(1, sizeof *regex);
    if (!regex)
        return error_nomem(err, sizeof *regex);
    int code = 0;
    PCRE2_SIZE at = 0;
    uint32_t options = PCRE2_UTF | PCRE2_UCP;
    if (flags & REGEX_IGNORE_CASE)
        options |= PCRE2_CASELESS;
    regex->code = pcre2_compile(
        (PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &at, NULL);
    if (!regex->code) {
        PCRE2_UCHAR text[128] = "";
        pcre2_get_error_message(code, text, sizeof text);
        regex_close(regex);
        return error_set(err, E_ARG, "the expression '%s' is wrong at byte %zu: %s",
            pattern, (size_t)at, (const char *)text);
    }
    // Without it (no memory may be made executable here) matching is slower, not other.
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
    *out = regex;
    return OK;
}

void regex_close(struct regex *regex)
{
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    free(regex);
}

enum status regex_scan_open(const struct regex *regex, const char *text, size_t len,
    struct regex_scan **out, struct error *err)
{
    *out = NULL;
    struct regex_scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return error_nomem(err, sizeof *scan);
    *scan = (struct regex_scan) { .regex = regex, .text = text, .len = len };
    scan->match = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (!scan->match) {
        free(scan);
        return error_nomem(err, 256);
    }
    *out = scan;
    return OK;
}

enum status regex_scan_next(
    struct regex_scan *scan, size_t *from, size_t *to, struct error *err)
{
    while (scan->at < scan->len) {
        // The check would read the whole text again at every match.
        int found = pcre2_match(scan->regex->code, (PCRE2_SPTR)scan->text, scan->len,
            scan->at, PCRE2_NO_UTF_CHECK, scan->match, NULL);
        if (found == PCRE2_ERROR_NOMATCH)
            break;
        if (found == PCRE2_ERROR_NOMEMORY)
            return error_nomem(err, scan->len);
        if (found < 0)
            return error_set(err, E_LIMIT,
                "matching an expression against %zu bytes gave up (PCRE2 error %d)",
                scan->len, found);
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(scan->match);
        *from = ends[0];
        *to = ends[1];
        scan->at = *to;
        if (*to > *from)
            return OK;
        (void)unicode_next(scan->text, scan->len, &scan->at);
    }
    scan->at = scan->len;
    *from = *to = scan->len;
    return E_NOT_FOUND;
}

void regex_scan_close(struct regex_scan *scan)
{
    if (!scan)
        return;
    pcre2_match_data_free(scan->match);
    free(scan);
}
