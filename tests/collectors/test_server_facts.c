/* What servers tell of themselves, found in bodies as they come. */
#include "collectors/server_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"

static struct server_facts read(const char *headers, const char *body)
{
    struct server_facts f;
    server_facts_read(headers, body, strlen(body), &f);
    return f;
}

static void test_each_server(void **state)
{
    (void)state;
    static const struct {
        const char *body, *tier;
        int64_t load_ns, server_ns;
    } cases[] = {
        { "{\"choices\":[],\"service_tier\":\"default\"}", "default", -1, -1 },
        { "{\"service_tier\" :\n \"flex\"}", "flex", -1, -1 },
        { "{\"usage\":{\"service_tier\":\"batch\",\"input_tokens\":3}}", "batch", -1,
            -1 },
        { "{\"service_tier\":null}", "", -1, -1 },
        { "{\"done\":true,\"total_duration\":5589157167,\"load_duration\":3013701500,"
          "\"eval_count\":282}",
            "", 3013701500, 5589157167 },
        { "data: {\"timings\":{\"cache_n\":1,\"prompt_n\":9,\"prompt_ms\":30.5,"
          "\"predicted_ms\":120.25}}\n\n",
            "", -1, 150750000 },
        { "{\"usage\":{\"queue_time\":0.25,\"prompt_time\":0.001,\"total_time\":0.5}}",
            "", -1, 500000000 },
        { "{\"total_time\":0.5}", "", -1, -1 },
        { "{\"metrics\":{\"latencyMs\":1551}}", "", -1, 1551000000 },
        // The last of a stream's chunks counts.
        { "data: {\"service_tier\":\"auto\"}\n\ndata: "
          "{\"service_tier\":\"priority\"}\n\n",
            "priority", -1, -1 },
        { "", "", -1, -1 },
        { "{\"load_duration\":\"soon\"}", "", -1, -1 },
        { "{\"load_duration\":-5}", "", -1, -1 },
        { "{\"load_duration\":1e30}", "", -1, -1 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct server_facts f = read("", cases[i].body);
        if (strcmp(f.service_tier, cases[i].tier) != 0 || f.load_ns != cases[i].load_ns ||
            f.server_ns != cases[i].server_ns)
            fail_msg("%s: \"%s\", %lld, %lld", cases[i].body, f.service_tier,
                (long long)f.load_ns, (long long)f.server_ns);
    }
}

/* A model may write what it likes: inside a JSON string its quotes are escaped. */
static void test_no_text_is_taken_for_a_fact(void **state)
{
    (void)state;
    struct server_facts f =
        read("", "{\"content\":\"{\\\"service_tier\\\":\\\"batch\\\","
                 "\\\"load_duration\\\":7}\",\"service_tier_x\":\"y\"}");
    assert_string_equal(f.service_tier, "");
    assert_int_equal(f.load_ns, -1);
    f = read("", "{\"content\":\"service_tier\",\"word\":\"x\"}"); // a value, no name
    assert_string_equal(f.service_tier, "");
}

static void test_header(void **state)
{
    (void)state;
    assert_int_equal(
        read("openai-processing-ms: 412\r\n", "{}").server_ns, 412 * INT64_C(1000000));
    assert_int_equal(read("openai-processing-ms: soon\r\n", "{}").server_ns, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_server),
        cmocka_unit_test(test_no_text_is_taken_for_a_fact),
        cmocka_unit_test(test_header),
    };
    return cmocka_run_group_tests_name("server_facts", tests, NULL, NULL);
}
