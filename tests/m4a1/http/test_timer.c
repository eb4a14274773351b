/* test_timer.c - items come back in the order of their due times, and all at a stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/random.h"
#include "m4a1/http/timer.h"

#define N 300
#define MS 1000000

struct item {
    int64_t due_ns, fired_ns;
    int place; /* in the order of firing, from 1; 0 = not yet */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int n_fired;

static void on_fire(void *arg)
{
    struct item *item = arg;
    pthread_mutex_lock(&lock);
    item->place = ++n_fired;
    item->fired_ns = clock_mono_ns();
    pthread_mutex_unlock(&lock);
}

static int fired(void)
{
    pthread_mutex_lock(&lock);
    int n = n_fired;
    pthread_mutex_unlock(&lock);
    return n;
}

static void fires_in_order(void **state)
{
    (void)state;
    static struct item items[N];
    struct timer *timer;
    struct rng rng;
    n_fired = 0;
    rng_init(&rng, 1, "test/timer", 0);
    assert_int_equal(timer_new(N, on_fire, &timer, NULL), OK);
    int64_t start = clock_mono_ns() + 100 * MS;
    for (int i = 0; i < N; i++) {
        items[i].due_ns = start + (int64_t)rng_below(&rng, 200) * MS;
        timer_add(timer, items[i].due_ns, &items[i]);
    }
    for (int i = 0; i < 1000 && fired() < N; i++)
        clock_sleep_ns(10 * MS);
    assert_int_equal(fired(), N);
    for (int i = 0; i < N; i++) {
        assert_true(items[i].fired_ns >= items[i].due_ns);
        for (int k = 0; k < N; k++)
            if (items[i].due_ns < items[k].due_ns ||
                (items[i].due_ns == items[k].due_ns && i < k))
                assert_true(items[i].place < items[k].place);
    }
    timer_free(timer);
}

static void an_earlier_item_overtakes(void **state)
{
    (void)state;
    struct item late = { .due_ns = clock_mono_ns() + 60000LL * MS }, early = { 0 };
    struct timer *timer;
    n_fired = 0;
    assert_int_equal(timer_new(2, on_fire, &timer, NULL), OK);
    timer_add(timer, late.due_ns, &late);
    clock_sleep_ns(20 * MS);
    early.due_ns = clock_mono_ns() + 20 * MS;
    timer_add(timer, early.due_ns, &early);
    for (int i = 0; i < 500 && fired() < 1; i++)
        clock_sleep_ns(10 * MS);
    assert_int_equal(early.place, 1);
    assert_int_equal(late.place, 0);
    /* A stop fires what waits; what comes later fires at once. */
    timer_stop(timer);
    assert_int_equal(late.place, 2);
    timer_add(timer, clock_mono_ns() + 60000LL * MS, &early);
    assert_int_equal(early.place, 3);
    timer_free(timer);
}

static void a_full_timer_fires_at_once(void **state)
{
    (void)state;
    struct item a = { 0 }, b = { 0 };
    struct timer *timer;
    n_fired = 0;
    assert_int_equal(timer_new(1, on_fire, &timer, NULL), OK);
    timer_add(timer, clock_mono_ns() + 60000LL * MS, &a);
    timer_add(timer, clock_mono_ns() + 60000LL * MS, &b);
    assert_int_equal(b.place, 1);
    assert_int_equal(a.place, 0);
    timer_free(timer);
    assert_int_equal(a.place, 2);
    timer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_in_order),
        cmocka_unit_test(an_earlier_item_overtakes),
        cmocka_unit_test(a_full_timer_fires_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
