/* test_transfer.c - other data in our words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "m4a1/base/text.h"
#include "m4a1/tmo/transfer.h"
#include "tests/support/tmo_data.h"

static const double score[2][2] = { { 1, 2 }, { 1, 2 } };

/* Which llms are of one provider is ours to say, since their names are ours. */
static void test_providers(void **state)
{
    (void)state;
    struct dataset *ours = simple_dataset(4, 2, score);
    struct dataset *other = simple_dataset(3, 2, score);
    for (size_t i = 0; i < ours->n_llms; i++) {
        ours->llms[i].provider = text_copy("http://one.host");
        other->llms[i].provider = text_copy("http://elsewhere");
    }
    assert_int_equal(transfer_map(other, ours, NULL, NULL), OK);
    assert_int_equal(other->n_llms, ours->n_llms);
    for (size_t i = 0; i < ours->n_llms; i++) {
        assert_string_equal(other->llms[i].name, ours->llms[i].name);
        assert_non_null(other->llms[i].provider);
        assert_string_equal(other->llms[i].provider, "http://one.host");
    }
    dataset_free(ours);
    dataset_free(other);
}

/* What is no map is refused, not passed over. */
static void test_no_map(void **state)
{
    (void)state;
    static const char *const maps[] = { "[]", "3", "\"views\"", "{\"views\": 3}",
        "{\"tasks\": [\"a\"]}", "{\"llms\": null}" };
    for (size_t i = 0; i < COUNT_OF(maps); i++) {
        struct dataset *ours = simple_dataset(4, 2, score);
        struct dataset *other = simple_dataset(3, 2, score);
        struct json *map;
        struct error err = ERROR_INIT;
        assert_int_equal(json_parse(maps[i], strlen(maps[i]), "map", 0, &map, NULL), OK);
        assert_int_equal(transfer_map(other, ours, map, &err), E_DATA);
        assert_non_null(strstr(err.msg, "map"));
        json_free(map);
        dataset_free(ours);
        dataset_free(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_providers),
        cmocka_unit_test(test_no_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
