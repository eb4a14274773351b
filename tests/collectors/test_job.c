/* What is left of a key that a server sends back: nothing. */
#include "collectors/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"
#include "schema/payload.h"

#define KEY "sk-planted/7f3a9b2c"

static const struct llm llm = { .key_env = (char *)"M4A1_TEST_KEY" };

/* A job whose server answered so. */
static struct job *read_job(int http_status, const char *body)
{
    struct job *job = job_new();
    struct exchange *ex = &job->exchange;
    assert_int_equal(setenv("M4A1_TEST_KEY", KEY, 1), 0);
    job->llm = &llm;
    job->protocol = &protocol_openai_chat;
    ex->key = protocol_key(job->protocol, &llm);
    ex->end = EXCHANGE_COMPLETE;
    ex->http_status = http_status;
    buffer_add_str(&ex->headers, "x-request-id: " KEY "\r\n");
    buffer_add_str(&ex->received, body);
    job_read(job);
    assert_true(job->is_read);
    assert_null(strstr(buffer_str(&ex->headers), KEY));
    return job;
}

static void expect_received(const struct job *job, const char *expected)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    assert_int_equal(payload_unpack(buffer_str(&job->packed_received),
                         job->packed_received.len, &b, NULL),
        OK);
    assert_string_equal(buffer_str(&b), expected);
    buffer_release(&b);
}

static void test_in_an_error(void **state)
{
    (void)state;
    struct job *job =
        read_job(401, "{\"error\":{\"message\":\"no: sk-planted\\/7f3a9b2c\"}}");
    assert_int_equal(job->answer.failure, FAILURE_AUTH);
    assert_string_equal(job->answer.error, "no: ********************");
    assert_string_equal(job->answer.request_id, "*******************");
    expect_received(job, "{\"error\":{\"message\":\"no: ********************\"}}");
    job_free(job);
}

#define SAID(s) "data: {\"choices\":[{\"delta\":{\"content\":\"" s "\"}}]}\n\n"

static void test_in_pieces(void **state)
{
    (void)state;
    struct job *job = read_job(
        200, SAID("It is sk-plan") SAID("ted/7f3a") SAID("9b2c.") "data: [DONE]\n\n");
    assert_string_equal(job->answer.text, "It is *******************.");
    expect_received(job, "(not kept: the server sent a key back, in pieces)");
    job_free(job);
    // Nor where the stream never became an answer.
    job = read_job(200, SAID("It is sk-plan") SAID("ted/7f3a") SAID("9b2c."));
    assert_int_equal(job->answer.failure, FAILURE_TRUNCATED);
    expect_received(job, "(not kept: the server sent a key back, in pieces)");
    job_free(job);
    // Without a key the bytes are kept as they came.
    static const char harmless[] = SAID("It is sk-plan") "data: [DONE]\n\n";
    job = read_job(200, harmless);
    assert_string_equal(job->answer.text, "It is sk-plan");
    expect_received(job, harmless);
    job_free(job);
}

#define THOUGHT(s)                                                                       \
    "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"reasoning_content\":\"" s "\"}}]}"   \
    "\n\n"
#define ARGUED(s)                                                                        \
    "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{"       \
    "\"arguments\":\"" s "\"}}]}}]}\n\n"
#define STOPPED                                                                          \
    "data: "                                                                             \
    "{\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n"

/* Texts that are not stored hold the pieces, too, and so may what an error quotes. */
static void test_pieces_of_what_is_not_stored(void **state)
{
    (void)state;
    static const struct {
        int http_status;
        const char *body;
    } rows[] = {
        { 200,
            THOUGHT("so sk-plan") THOUGHT("ted/7f3a9b2c.") STOPPED "data: [DONE]\n\n" },
        { 200, ARGUED("sk-plan") ARGUED("ted/7f3a9b2c") STOPPED "data: [DONE]\n\n" },
        { 200, THOUGHT("sk-plan") THOUGHT("ted\\/7f3a9b2c") },
        { 200, SAID("sk-plan") SAID("ted/7f3a9b2c") },
        { 200, SAID("sk-plan") SAID("ted/7f3a9b2c") "data: {\"error\":{\"message\":"
                                                    "\"the engine died\"}}\n\n" },
        { 500, "[{\"text\":\"sk-plan\"},\n{\"text\":\"ted/7f3a9b2c\"}]" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct job *job = read_job(rows[i].http_status, rows[i].body);
        expect_received(job, "(not kept: the server sent a key back, in pieces)");
        assert_null(strstr(job->answer.error ? job->answer.error : "", "sk-plan"));
        job_free(job);
    }
    // Wrapped, it is found where it stands.
    struct job *job =
        read_job(500, "{\"error\":{\"message\":\"sk-plan\\nted/7f3a9b2c\"}}");
    assert_string_equal(job->answer.error, "*********************");
    job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_an_error),
        cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_pieces_of_what_is_not_stored),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
