/* log.h - diagnostics for a person who watches a run.
 *
 * Results go to standard output and errors into struct error; this is the third
 * channel: what is being done and what looks odd.  One process-wide sink, set by
 * the command line; silent until then.  Never log a key, a header or an image. */
#ifndef M4A1_BASE_LOG_H
#define M4A1_BASE_LOG_H

#include "m4a1/base/error.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

typedef void log_sink(enum log_level level, const char *line, void *arg);

/* Lines above max_level are dropped.  sink NULL silences the log.  Call before
 * threads start; the sink itself is called under a lock. */
void log_to(log_sink *sink, void *arg, enum log_level max_level);

void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
