/* salt.c - see salt.h. */
#include "collectors/salt.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

int salt_is_needed(const struct protocol *p, const struct llm *llm)
{
    return llm->avoid_cache && !(p->has_cache_switch && p->has_cache_switch(llm));
}

static enum status make_salt(
    struct store *store, int64_t call_id, char salt[HASH_HEX], struct error *err)
{
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT identity, coalesce((SELECT max(number) FROM attempt a"
        " WHERE a.call_id = c.call_id), 0) + 1 FROM call c WHERE call_id = ?",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "i", call_id);
    s = query_next(q, err);
    if (s == OK && !query_has_row(q))
        s = error_set(err, E_NOT_FOUND, "the store has no call %lld", (long long)call_id);
    if (s == OK) {
        char *text = text_format(
            "m4a1-salt-1\n%s\n%lld", query_text(q, 0), (long long)query_int(q, 1));
        if (text)
            hash_hex(text, strlen(text), salt);
        else
            s = error_nomem(err, HASH_HEX);
        free(text);
    }
    query_close(q);
    return s;
}

/* Replaces *text by the salt, a line break and what it was. */
static int put_before(char **text, const char *salt)
{
    char *salted = text_format("%s\n%s", salt, *text ? *text : "");
    if (!salted)
        return 0;
    free(*text);
    *text = salted;
    return 1;
}

/* A message that begins with an image gets a text in front of it. */
static int put_into_message(struct dialogue_message *m, const char *salt)
{
    if (m->n_parts && m->parts[0].text)
        return put_before(&m->parts[0].text, salt);
    struct dialogue_part *more =
        realloc(m->parts, (m->n_parts + 1) * sizeof(struct dialogue_part));
    if (!more)
        return 0;
    m->parts = more;
    memmove(more + 1, more, m->n_parts * sizeof *more);
    m->n_parts++;
    memset(more, 0, sizeof *more);
    return put_before(&more[0].text, salt);
}

enum status salt_add(
    struct store *store, int64_t call_id, struct dialogue *d, struct error *err)
{
    char salt[HASH_HEX];
    enum status s = make_salt(store, call_id, salt, err);
    if (s != OK)
        return s;
    salt[SALT_DIGITS] = '\0';
    int ok = d->system_prompt ? put_before(&d->system_prompt, salt)
             : d->n_messages  ? put_into_message(&d->messages[0], salt)
                              : 1;
    return ok ? OK : error_nomem(err, HASH_HEX);
}
