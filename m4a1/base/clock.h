/* clock.h - the two clocks: durations come from the monotonic one only. */
#ifndef M4A1_BASE_CLOCK_H
#define M4A1_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_ns(void); /* CLOCK_MONOTONIC */
int64_t clock_wall_ms(void); /* since 1970-01-01 UTC; may jump */
int64_t clock_cpu_ns(void);  /* CPU time of this process */
void clock_sleep_ns(int64_t ns);

/* "2026-11-22T14:35:05Z"; buf holds 21 bytes or more; returned. */
const char *clock_iso8601(int64_t wall_ms, char *buf, size_t size);

#endif
