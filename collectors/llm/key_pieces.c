/* key_pieces.c - see key_pieces.h.
 *
 * The bytes are not parsed: a string with a colon behind it is a name, any other string is
 * a value of the last name.  A line break ends a string, as JSON has none inside one. */
#include "collectors/llm/key_pieces.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"

#define MAX_NAMES 64 /* all further ones count as one */
#define MAX_TEXT (32u << 20)

struct texts {
    const char *name; /* in the body */
    size_t n_name;
    struct buffer text;
};

struct pieces {
    struct texts of[MAX_NAMES];
    size_t n, now;
};

static void choose(struct pieces *p, const char *name, size_t n_name)
{
    for (p->now = 0; p->now < p->n; p->now++)
        if (p->of[p->now].n_name == n_name && !memcmp(p->of[p->now].name, name, n_name))
            return;
    if (p->n == MAX_NAMES) {
        p->now = MAX_NAMES - 1;
        return;
    }
    struct texts *t = &p->of[p->n++];
    t->name = name;
    t->n_name = n_name;
    buffer_init(&t->text, MAX_TEXT);
}

/* Up to the quote that ends the string which begins at s, or the end of its line. */
static size_t length_of(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && s[n] != '"' && s[n] != '\n')
        n += s[n] == '\\' && n + 1 < len ? 2 : 1;
    return n < len ? n : len;
}

static void collect(struct pieces *p, const char *body, size_t len)
{
    choose(p, "", 0);
    for (size_t i = 0; i < len;) {
        const char *quote = memchr(body + i, '"', len - i);
        if (!quote)
            return;
        i = (size_t)(quote - body) + 1;
        size_t n = length_of(body + i, len - i), next = i + n + 1;
        while (next < len && isspace((unsigned char)body[next]))
            next++;
        if (next < len && body[next] == ':')
            choose(p, body + i, n);
        else
            buffer_add(&p->of[p->now].text, body + i, n);
        i += n + 1;
    }
}

int key_in_pieces(const struct key_use *use, const char *body, size_t len)
{
    int found = 0;
    if (!key_has_secret(use) || !body)
        return 0;
    struct pieces *p = calloc(1, sizeof *p);
    if (!p)
        return 1;
    collect(p, body, len);
    for (size_t i = 0; i < p->n; i++) {
        struct buffer *text = &p->of[i].text;
        found |= text->failed == E_NOMEM;
        found |= text->data && key_scrub(use, text->data, text->len) > 0;
        buffer_release(text);
    }
    free(p);
    return found;
}
