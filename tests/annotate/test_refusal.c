/* The published refusal rule, with the gaps that it has, and the mended one. */
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

static void test_mended(void **state)
{
    (void)state;
    assert_int_equal(refusal_mended("I'm SORRY, but no."), 1);
    assert_int_equal(refusal_mended("I can\xe2\x80\x99t see it."), 1);
    assert_int_equal(refusal_mended("Can't."), 1);
    assert_int_equal(refusal_mended("i don\xe2\x80\x99T have the ability."), 1);
    assert_int_equal(refusal_mended("I can\xe2\x80\x98t see it."), 0);
    assert_int_equal(refusal_mended("You don't have bread."), 0);
    assert_int_equal(refusal_mended("I don't hav"), 0); // ends inside a word
    assert_int_equal(refusal_mended("can\xe2\x80"), 0);
    assert_int_equal(refusal_mended(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
