/* The example of docs/adding-a-modality.md: it works with every protocol, and what the
 * page quotes is what the source says. */
#include "tests/support/table_modality.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/llm/protocol.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

/* ---- from a file to a frame ----------------------------------------------------- */

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *file, *frame, *says;
    } cases[] = {
        { "a,b\n1,2\n", "a,b\n1,2\n", NULL },
        { "a,b\n1,2", "a,b\n1,2\n", NULL },
        { "a\n1\n\n", "", NULL }, // an empty field
        { "a,b\n1\n", NULL, "line 2 has 1 fields, the first has 2" },
        { "a,b\n", NULL, "no row below its names" },
        { "", NULL, "no row below its names" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer frame;
        struct error err = ERROR_INIT;
        buffer_init(&frame, 1000);
        enum status s = table_read(cases[i].file, strlen(cases[i].file), &frame, &err);
        assert_int_equal(s, cases[i].says ? E_DATA : OK);
        if (cases[i].says && !strstr(err.msg, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.msg, cases[i].says);
        if (!cases[i].says && *cases[i].frame)
            assert_string_equal(buffer_str(&frame), cases[i].frame);
        buffer_release(&frame);
    }
}

/* ---- from a frame to a message --------------------------------------------------- */

static const char table[] = "second,speed,door\n0,3.5,shut\n1,\"3.1\",open\n";
#define SAID "second 0, speed 3.5, door shut\nsecond 1, speed \"3.1\", door open"

/* A dialogue of one message: the table and a question. */
static struct dialogue *make_dialogue(void)
{
    const struct modality_frame frame = { .text = table };
    const struct modality_view view = { "log", &frame, 1 };
    struct dialogue *d = calloc(1, sizeof *d);
    assert_non_null(d);
    d->messages = calloc(1, sizeof *d->messages);
    assert_non_null(d->messages);
    d->n_messages = 1;
    assert_int_equal(modality_table.say(&view, &d->messages[0], NULL), OK);
    assert_int_equal(dialogue_say(&d->messages[0], text_copy("Why?"), NULL), OK);
    return d;
}

static void test_say(void **state)
{
    (void)state;
    struct dialogue *d = make_dialogue();
    const struct dialogue_message *m = &d->messages[0];
    assert_int_equal(m->n_parts, 3);
    assert_string_equal(m->parts[0].text, "View log, a table with 2 rows:");
    assert_string_equal(m->parts[1].text, SAID);
    // One token a byte is the bound of what it can be billed.
    assert_true(dialogue_max_input_tokens(d, 0) >
                (int64_t)(strlen(m->parts[0].text) + strlen(SAID)));
    dialogue_free(d);
}

/* ---- from a message to a request ------------------------------------------------- */

static void test_every_protocol(void **state)
{
    (void)state;
    struct dialogue *d = make_dialogue();
    struct json *parameters = NULL;
    const char *line = "second 1, speed \\\"3.1\\\", door open"; // as JSON quotes it
    assert_int_equal(json_parse("{}", 2, "test", 0, &parameters, NULL), OK);
    const struct llm llm = { .name = (char *)"x",
        .model = (char *)"m",
        .accepts = { -1, -1, -1, 0 },
        .parameters = parameters };
    const struct protocol *p;
    for (size_t i = 0; (p = protocol_at(i)); i++) {
        struct body body;
        body_init(&body);
        assert_int_equal(protocol_render(p, &llm, d, &body, NULL), OK);
        if (!strstr(buffer_str(&body.text), "View log, a table with 2 rows:") ||
            !strstr(buffer_str(&body.text), line))
            fail_msg("%s: %s", p->name, buffer_str(&body.text));
        body_release(&body);
    }
    json_free(parameters);
    dialogue_free(d);
}

/* ---- the page -------------------------------------------------------------------- */

/* True where line, of len bytes, is a whole line of the source. */
static int is_line_of(const char *source, const char *line, size_t len)
{
    for (const char *at = source; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (!strncmp(at, line, len) && at[len] == '\n')
            return 1;
    }
    return 0;
}

static void test_page(void **state)
{
    (void)state;
    static const char *const sources[] = { "tests/support/table_modality.c",
        "collectors/modality.c", "collectors/llm/openai_chat.c" };
    struct buffer page, texts[COUNT_OF(sources)];
    buffer_init(&page, 1 << 20);
    assert_int_equal(file_read("docs/adding-a-modality.md", &page, NULL), OK);
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        buffer_init(&texts[i], 1 << 20);
        assert_int_equal(file_read(sources[i], &texts[i], NULL), OK);
    }
    int is_code = 0;
    size_t n_lines = 0;
    for (const char *line = buffer_str(&page); *line;) {
        size_t len = strcspn(line, "\n");
        if (!strncmp(line, "```", 3)) {
            is_code = !strncmp(line, "```c\n", 5);
        } else if (is_code && len) {
            n_lines++;
            size_t i = 0;
            while (i < COUNT_OF(sources) && !is_line_of(buffer_str(&texts[i]), line, len))
                i++;
            if (i == COUNT_OF(sources))
                fail_msg("no source has a line \"%.*s\"", (int)len, line);
        }
        line += len + (line[len] == '\n');
    }
    assert_true(n_lines > 60);
    buffer_release(&page);
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        buffer_release(&texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_say),
        cmocka_unit_test(test_every_protocol),
        cmocka_unit_test(test_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
