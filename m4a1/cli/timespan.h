/* timespan.h - times of day and lengths of time as people type them. */
#ifndef M4A1_CLI_TIMESPAN_H
#define M4A1_CLI_TIMESPAN_H

#include <stdint.h>

#define TIMESPAN_LONGEST_MS (INT64_C(365) * 86400 * 1000)

/* "07:30" (the next one, in local time), "2026-11-23T07:30", with seconds, with a Z for
 * UTC: milliseconds since 1970.  False where it is none of these. */
int timespan_until(const char *text, int64_t now_ms, int64_t *out_ms);

/* "8h", "1h30m", "45s", "2d": milliseconds, above 0 and at most TIMESPAN_LONGEST_MS. */
int timespan_length(const char *text, int64_t *out_ms);

#endif
