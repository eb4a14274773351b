/* log.c - one sink for diagnostics; formatting happens here, printing elsewhere. */
#include "m4a1/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static struct {
    pthread_mutex_t lock;
    log_sink *sink;
    void *arg;
    enum log_level max_level;
} logger = { PTHREAD_MUTEX_INITIALIZER, NULL, NULL, LOG_ERROR };

void log_to(log_sink *sink, void *arg, enum log_level max_level)
{
    pthread_mutex_lock(&logger.lock);
    logger.sink = sink;
    logger.arg = arg;
    logger.max_level = max_level;
    pthread_mutex_unlock(&logger.lock);
}

static PRINTF_LIKE(2, 0) void log_line(
    enum log_level level, const char *fmt, va_list args)
{
    pthread_mutex_lock(&logger.lock);
    if (logger.sink && level <= logger.max_level) {
        char line[2048];
        vsnprintf(line, sizeof line, fmt, args);
        logger.sink(level, line, logger.arg);
    }
    pthread_mutex_unlock(&logger.lock);
}

#define LOG_AT(level, fmt)                                                               \
    do {                                                                                 \
        va_list args;                                                                    \
        va_start(args, fmt);                                                             \
        log_line(level, fmt, args);                                                      \
        va_end(args);                                                                    \
    } while (0)

void log_error(const char *fmt, ...)
{
    LOG_AT(LOG_ERROR, fmt);
}

void log_warn(const char *fmt, ...)
{
    LOG_AT(LOG_WARN, fmt);
}

void log_info(const char *fmt, ...)
{
    LOG_AT(LOG_INFO, fmt);
}

void log_debug(const char *fmt, ...)
{
    LOG_AT(LOG_DEBUG, fmt);
}
