/* error.c - filling struct error; knows nothing of what failed. */
#include "m4a1/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status error_set(struct error *err, enum status code, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->msg, sizeof err->msg, fmt, args);
        va_end(args);
        err->code = code;
    }
    return code;
}

enum status error_prefix(struct error *err, const char *fmt, ...)
{
    if (!err)
        return E_ARG;
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->msg)
        snprintf(err->msg + n, sizeof err->msg - (size_t)n, "%s", old);
    return err->code;
}

enum status error_errno(struct error *err, const char *fmt, ...)
{
    int number = errno;
    enum status code = number == ENOENT ? E_NOT_FOUND : number == ENOMEM ? E_NOMEM : E_IO;
    if (!err)
        return code;
    char text[128];
    if (strerror_r(number, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", number);
    char what[sizeof err->msg];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return error_set(err, code, "%.800s: %s", what, text);
}
