/* recipe_samples.c - a small recipe, variations of it, and a folder to try them in. */
#include "tests/support/recipe_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/recipe_reader.h"

/* A small recipe; tests put one thing in place of another. */
const char small[] =
    "{ \"m4a1_recipe\": 1, \"name\": \"small\",\n"
    "  \"views\": [ {\"name\": \"head\", \"kind\": \"image\", \"privacy\": 2},\n"
    "             {\"name\": \"bench\", \"kind\": \"image\", \"privacy\": 1} ],\n"
    "  \"tasks\": [\"Query\", \"Advice\"],\n"
    "  \"prompts\": [ {\"id\": \"q1\", \"task\": \"Query\", \"text\": \"Which tool?\"},\n"
    "               {\"id\": \"a1\", \"task\": \"Advice\", \"text\": \"What next?\"} ],\n"
    "  \"sessions\": {\"n\": 3, \"turns\": [2, 4], \"seed\": 7},\n"
    "  \"system_prompt\": \"Be brief.\",\n"
    "  \"llms\": {\n"
    "    \"phi\": {\"role\": \"local\", \"protocol\": \"openai-chat\",\n"
    "            \"url\": \"http://127.0.0.1:8080/\", \"model\": \"phi\",\n"
    "            \"device\": \"Jetson TX2\", \"accepts\": {\"image\": 1}},\n"
    "    \"gpt\": {\"role\": \"cloud\", \"protocol\": \"openai-chat\",\n"
    "            \"url\": \"https://api.example.com/v1\", \"model\": \"big\",\n"
    "            \"key_env\": \"SOME_KEY\", \"slots\": 4},\n"
    "    \"judge\": {\"role\": \"judge\", \"like\": \"gpt\", \"model\": \"bigger\"} },\n"
    "  \"prices\": [ {\"llm\": \"gpt\", \"from\": \"2026-11-22\", \"input_usd\": 2.5,\n"
    "               \"output_usd\": 10, \"source\": \"test\"} ],\n"
    "  \"actions\": {\"phi\": [\"\", \"head\"], \"*\": \"all_subsets\"} }\n";

char *with(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    char *out = text_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_non_null(out);
    return out;
}

struct recipe *good(const char *text)
{
    struct recipe *recipe;
    struct buffer problems;
    struct error err = ERROR_INIT;
    buffer_init(&problems, TEXT_MAX);
    enum status s =
        recipe_parse("r.jsonc", NULL, text, strlen(text), &recipe, &problems, &err);
    if (s)
        fail_msg("%s\n%s", err.msg, buffer_str(&problems));
    buffer_release(&problems);
    return recipe;
}

char *with_all(const char *text, ...)
{
    char *out = text_copy(text);
    va_list args;
    va_start(args, text);
    for (const char *from; (from = va_arg(args, const char *));) {
        char *next = with(out, from, va_arg(args, const char *));
        free(out);
        out = next;
    }
    va_end(args);
    return out;
}

int make_folder(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    snprintf(f->path, sizeof f->path, "/tmp/m4a1-test-recipe.XXXXXX");
    *state = f;
    return mkdtemp(f->path) ? 0 : -1;
}

int remove_folder(void **state)
{
    struct folder *f = *state;
    char **names;
    size_t n;
    if (folder_list(f->path, &names, &n, NULL))
        return -1;
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(f->path, names[i]);
        unlink(path);
        free(path);
    }
    folder_list_free(names, n);
    for (size_t i = 0; i < f->n; i++)
        free(f->files[i]);
    int rc = rmdir(f->path);
    free(f);
    return rc;
}

const char *file_in(struct folder *f, const char *name, const char *content)
{
    char *path = path_join(f->path, name);
    assert_non_null(path);
    assert_true(f->n < COUNT_OF(f->files));
    f->files[f->n++] = path;
    if (content)
        assert_int_equal(file_write(path, content, strlen(content), NULL), OK);
    return path;
}
