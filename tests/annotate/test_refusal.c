/* The published refusal rule, with the gaps that it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "annotate/refusal.h"

static void test_published(void **state)
{
    (void)state;
    assert_int_equal(refusal_published("I'm sorry, but no."), 1);
    assert_int_equal(refusal_published("I can't see it."), 1);
    assert_int_equal(refusal_published("I don't have the ability to see."), 1);
    assert_int_equal(refusal_published("unsorryness"), 1); // a substring is enough
    assert_int_equal(refusal_published("Sorry."), 0);      // case counts
    assert_int_equal(refusal_published("I can\xe2\x80\x99t see it."), 0);
    assert_int_equal(refusal_published("You don't have bread."), 0);
    assert_int_equal(refusal_published("Two eggs."), 0);
    assert_int_equal(refusal_published(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_published) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
