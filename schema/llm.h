/* llm.h - an LLM configuration: what can change its answers, and how it is reached.
 *
 * Facts (protocol, endpoint name, model, parameters, options, system prompt, and the
 * limits that pictures are resized to) make up its identity and never change once used.
 * Settings (address, key variable, limits, slots) may change between runs.  Both travel
 * as JSON objects with exactly the recipe's keys. */
#ifndef SCHEMA_LLM_H
#define SCHEMA_LLM_H

#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"
#include "schema/store.h"
#include "schema/view.h"

enum llm_role { LLM_LOCAL, LLM_CLOUD, LLM_REFERENCE, LLM_JUDGE };
extern const char *const llm_too_large_names[2]; /* "refuse", "resize" */
extern const char *const llm_cache_names[2];     /* "allow", "avoid" */
extern const char *const llm_role_names[4]; /* "local", "cloud", "reference", "judge" */

/* The most that a recipe may say. */
#define LLM_MAX_SLOTS 1000
#define LLM_MAX_ATTEMPTS 100
#define LLM_MAX_IMAGE_TOKENS 10000000
#define LLM_MAX_PER_MINUTE 1000000000
#define LLM_MAX_VIEWS 10000
#define LLM_MAX_IMAGE_PX 65500
#define LLM_MAX_IMAGE_BYTES ((int64_t)1 << 30)

struct llm {
    int64_t llm_id; /* 0 until it is in a store */
    char *name;
    enum llm_role role;

    /* facts */
    char *protocol; /* "openai-chat" */
    char *endpoint; /* a name for the server: its host unless the recipe says */
    char *model;
    struct json *parameters; /* object of the protocol's own parameters, never NULL */
    struct json *options;    /* object of settings of our adapter; NULL = none */
    char *system_prompt;     /* NULL = none */
    char *identity;          /* HASH_HEX */

    /* settings */
    char *url;       /* base address without a trailing slash */
    char *key_env;   /* name of the environment variable; NULL = no key */
    char *device;    /* of a local llm; NULL = unknown */
    int stream;      /* 1 = ask for a stream, so that first tokens are timed */
    int avoid_cache; /* 1 = no prompt cache may shorten a call */
    int slots;       /* calls in flight at once, at least 1 */
    /* Most views of each kind that one request may hold (VIEW_IMAGE: pictures, frames of
     * videos included); -1 = any number, 0 = it is never sent one. */
    int accepts[N_VIEW_KINDS];
    /* What a picture may have at most, beside what the protocol says; 0 = nothing said. */
    int max_image_px;        /* longest side */
    int64_t max_image_bytes; /* of the encoded file */
    /* 1 = a larger one is made smaller, which can change answers and so is a fact with
     * its limits; 0 = it is refused. */
    int resizes_images;
    int max_attempts;     /* at least 1 */
    int64_t image_tokens; /* most tokens that one image is billed; 0 = assume the worst */
    int64_t rpm, tpm;     /* a minute; 0 = no limit */
    double timeout_s;
    double max_usd;            /* cap over the whole store; 0 = none */
    double watts, usd_per_kwh; /* of its device while it answers; 0 = unknown */
};

void llm_release(struct llm *llm);

/* What an llm accepts where nothing is said: any number, but no audio. */
void llm_accepts_default(int accepts[N_VIEW_KINDS]);

/* The canonical JSON of the facts (views of a call are not among them), and from it
 * llm->identity: SHA-256 over "m4a1-llm-1\n" and the canonical JSON. */
MUST_CHECK enum status llm_facts(
    const struct llm *llm, struct json **out, struct error *err);
MUST_CHECK enum status llm_identify(struct llm *llm, struct error *err);

/* Insert the llm, or update its settings where one of the same name and identity is
 * there; sets llm_id.  E_ARG where the name has another identity and was used: a used
 * llm is never edited, so the message says to give the new one a new name. */
MUST_CHECK enum status llm_save(struct store *store, struct llm *llm, struct error *err);

/* A name of an environment variable: 1 to 64 capitals, digits and _, no digit first. */
int llm_is_key_env(const char *name);

/* "http://HOST", "https://HOST:PORT/PATH": no user, query, blank or control sign in it. */
int llm_is_url(const char *url);

/* All llms that are not retired (with_retired: all), ordered by llm_id.  Settings beyond
 * what a recipe can say are cut to it; E_DATA where a row is not what llm_save() writes. */
MUST_CHECK enum status llm_load_all(struct store *store, int with_retired,
    struct llm **out, size_t *n, struct error *err);
void llm_free_all(struct llm *llms, size_t n);

#endif
