/* key.c - keys by the names of their environment variables. */
#include "collectors/llm/key.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

static enum status check_variable(const char *env, int is_optional, struct error *err)
{
    const char *key = getenv(env);
    if ((!key || !*key) && is_optional)
        return OK;
    if (!key || !*key)
        return error_set(err, E_NOT_FOUND, "the environment variable %s is not set", env);
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return error_set(err, E_ARG,
                "the environment variable %s holds a blank or a control character; a key "
                "has none (is there a line break at its end?)",
                env);
    return OK;
}

enum status key_check(const struct key_use *use, struct error *err)
{
    enum status s = use->env ? check_variable(use->env, 0, err) : OK;
    for (size_t i = 0; s == OK && i < use->n_variables; i++)
        s = check_variable(use->variables[i].env, use->variables[i].is_optional, err);
    return s;
}

const char *key_value(const struct key_use *use, size_t i)
{
    const char *value = i < use->n_variables ? getenv(use->variables[i].env) : NULL;
    return value && *value ? value : NULL;
}

static void add_line(const struct key_use *use, const char *value, struct buffer *out)
{
    if (use->way == KEY_HEADER)
        buffer_printf(out, "%s: ", use->header);
    else
        buffer_add_str(out, "Authorization: Bearer ");
    buffer_add_str(out, value);
    buffer_add_char(out, '\n');
}

enum status key_lines(const struct key_use *use, const char *token,
    const struct key_request *request, struct buffer *out, struct error *err)
{
    if (token) {
        add_line(use, token, out);
        return buffer_status(out, "the header of a key", err);
    }
    enum status s = key_check(use, err);
    if (s == OK && use->way == KEY_SIGNED)
        s = use->sign(use, request, out, err);
    else if (s == OK && use->env)
        add_line(use, getenv(use->env), out);
    return s == OK ? buffer_status(out, "the header of a key", err) : s;
}

void key_lines_shown(const struct key_use *use, struct buffer *out)
{
    if (use->way == KEY_SIGNED) {
        buffer_add_str(out, "Authorization: (a signature made of");
        for (size_t i = 0; i < use->n_variables; i++)
            buffer_printf(out, " $%s", use->variables[i].env);
        buffer_add_str(out, ")\n");
    } else if (use->env) {
        char *value = text_format("$%s", use->env);
        add_line(use, value ? value : "", out);
        free(value);
    }
}

void key_wipe(struct buffer *b)
{
    if (b->data)
        explicit_bzero(b->data, b->size);
    buffer_release(b);
}
