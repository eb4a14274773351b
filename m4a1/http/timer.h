/* timer.h - one thread that hands items back when they are due.
 *
 * A heap of (due time, item) of fixed capacity, so adding never allocates.  The order
 * of items with the same due time is the order in which they were added. */
#ifndef M4A1_HTTP_TIMER_H
#define M4A1_HTTP_TIMER_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

struct timer;
typedef void timer_fire(void *item); /* called in the timer's thread, without a lock */

/* capacity: the most items that wait at once. */
MUST_CHECK enum status timer_new(
    size_t capacity, timer_fire *fire, struct timer **out, struct error *err);

/* Fire item at due_ns of the monotonic clock.  At once, in the caller's thread, when
 * the timer is stopped or full. */
void timer_add(struct timer *timer, int64_t due_ns, void *item);

/* Fire all that waits and end the thread; timer_add() still works, see there. */
void timer_stop(struct timer *timer);
void timer_free(struct timer *timer); /* stops first; NULL is fine */

#endif
