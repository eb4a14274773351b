/* key.h - the only place that reads a secret: from the environment, when it is sent.
 *
 * A secret goes into the headers of a request, or into the signature over one, and
 * nowhere else.  What a server sends back is scrubbed of it before anything is stored
 * or shown. */
#ifndef COLLECTORS_LLM_KEY_H
#define COLLECTORS_LLM_KEY_H

#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

#define KEY_MAX_VARIABLES 4

enum key_way {
    KEY_BEARER, /* Authorization: Bearer KEY */
    KEY_HEADER, /* a header of its own: x-api-key: KEY */
    KEY_SIGNED, /* a signature over the request, made of several variables */
};

struct key_variable {
    const char *env;
    int is_optional;
};

/* What a signature is made over; all strings live during the call. */
struct key_request {
    const char *method, *url;
    const char *headers; /* lines "Name: value\n" that are sent beside the signature */
    const char *body_sha256; /* HASH_HEX digits of the body */
    int64_t wall_ms;         /* now */
};

struct key_use;

/* Adds the lines "Name: value\n" that prove the sender. */
typedef enum status key_signer(const struct key_use *use,
    const struct key_request *request, struct buffer *lines, struct error *err);

/* How an llm's requests prove who sends them.  All zero: no key.  Owns nothing. */
struct key_use {
    enum key_way way;
    const char *env;    /* KEY_BEARER, KEY_HEADER: the variable; NULL = no key */
    const char *header; /* KEY_HEADER: its name */
    key_signer *sign;   /* KEY_SIGNED; the rest is for it */
    struct key_variable variables[KEY_MAX_VARIABLES];
    size_t n_variables;
    const char *scope; /* what it needs beside secrets, like a region */
};

/* OK where every variable that is needed holds a value that can be sent: not empty, no
 * blanks, no control characters.  The message names the variable, never its value. */
MUST_CHECK enum status key_check(const struct key_use *use, struct error *err);

/* For a signer: the secret in the variable with this number; NULL where it is not set. */
const char *key_value(const struct key_use *use, size_t i);

/* The lines "Name: value\n" for a request, into out, which the caller wipes with
 * key_wipe().  token, where not NULL, stands in for the key (it is no secret); nothing
 * is signed then.  Needs no lock as long as nobody changes the environment. */
MUST_CHECK enum status key_lines(const struct key_use *use, const char *token,
    const struct key_request *request, struct buffer *out, struct error *err);

/* The same for people: "Authorization: Bearer $OPENAI_API_KEY".  Nothing is read. */
void key_lines_shown(const struct key_use *use, struct buffer *out);

void key_wipe(struct buffer *b);

/* True where a value can be told from ordinary text, and so is searched for in what servers
 * send: at least 12 signs, with a digit, both cases, or 20 signs and more.  Others, like the
 * "EMPTY", "none" or "sk-no-key-required" that local servers take, would blank words out of
 * answers. */
int key_is_secret(const char *value);

/* True where one of the use's variables holds such a value. */
int key_has_secret(const struct key_use *use);

/* The variable of the use whose value is no such; NULL where there is none.  Behind "the
 * key in VARIABLE" the words say what follows from it. */
#define KEY_NOT_SEARCHED                                                                 \
    "is too short or too plain to be told from ordinary text: it is not looked for in "  \
    "answers"
const char *key_not_searched(const struct key_use *use);

/* Put asterisks over every occurrence of the use's secrets in len bytes at s: as they
 * are, escaped as in JSON, HTML or an address, with blanks or control characters between
 * their signs, in hex, and inside base64.  s may be NULL.  Returns how many there were. */
size_t key_scrub(const struct key_use *use, char *s, size_t len);

#endif
