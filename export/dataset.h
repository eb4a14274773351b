/* dataset.h - the data set in memory: what every reader gives and every trainer takes.
 *
 * Sessions of turns along the path that was played, with scores, costs and
 * associations; fan-out answers stand beside the path as further interactions. */
#ifndef EXPORT_DATASET_H
#define EXPORT_DATASET_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "annotate/refusal.h"
#include "m4a1/base/hash.h"

/* The classes of tokens, in the order of interaction.tokens. */
enum token_class {
    TOKENS_INPUT,
    TOKENS_CACHE_READ,
    TOKENS_CACHE_WRITE,
    TOKENS_OUTPUT,
    TOKENS_REASONING,
    N_TOKENS
};

/* One action and its answer.  Missing figures are NAN. */
struct interaction {
    int llm;                /* index into dataset.llms */
    uint32_t views_added;   /* what the action added, bit i = view i */
    uint32_t views_context; /* what the dialogue held with them */
    int *image_index;       /* the authors' list, in its order; NULL = null */
    size_t n_image_index;
    char *answer; /* NULL = none: the call failed or is still to be made */
    double score; /* raw response score, candidate / reference */
    int refused;  /* 1 = the refusal rule holds, 0 = it does not, -1 = unknown */
    double latency_s, cost_usd;
    double probability; /* with which the behaviour chose it; NAN = unknown */
    int simulated;
    int64_t tokens[N_TOKENS]; /* disjoint; -1 = not reported */
};

struct turn {
    char *prompt;
    int task;            /* index into dataset.tasks */
    double *association; /* [n_views], NAN = none for this view; NULL = none at all */
    struct interaction path;
    struct interaction *fan_out;
    size_t n_fan_out;
};

struct session {
    int64_t id;              /* the authors' id, or the store's (from_store.h) */
    int64_t session_id;      /* its row in the store; 0 = not read from one */
    char identity[HASH_HEX]; /* "" where the source has none */
    char *scene;
    char **image_paths; /* [n_views]; NULL = none */
    struct turn *turns;
    size_t n_turns;
    int censored; /* the path ended early because a call failed for good */
    int imported; /* from the authors' file: no identity, llm or attempt of ours */
};

struct dataset_llm {
    char *name;
    int cloud;      /* 1 = its views and prompts leave the device */
    char *provider; /* who runs it; NULL = the llm's name */
};

/* What dataset_read() took away. */
struct left_out {
    size_t sessions;       /* sessions without a complete turn 0 */
    size_t turns_unasked;  /* path turns without an answer */
    size_t turns_unscored; /* path turns with an answer and without a score */
    size_t turns_behind;   /* complete turns behind one of those */
    size_t fan_out;        /* fan-out interactions without answer or score */
};

struct dataset {
    char *source; /* the path it was read from */
    char **views; /* names */
    int *privacy; /* [n_views] */
    size_t n_views;
    char **tasks; /* sorted by bytes, as the published task index wants */
    size_t n_tasks;
    struct dataset_llm *llms;
    size_t n_llms;
    struct session *sessions;
    size_t n_sessions;
    int simulated;         /* some answer is simulated */
    struct left_out left;  /* set by dataset_read() */
    size_t *by_id;         /* [n_sessions] positions sorted by id; built by the seal */
    char digest[HASH_HEX]; /* of what training sees; equal content, equal digest */
};

/* A frozen partition: session ids in their order. */
struct split {
    int64_t *train, *test;
    size_t n_train, n_test;
};

void dataset_free(struct dataset *data);

/* Read DATA: a store, an export folder or an authors' JSON file, told apart by what is
 * there.  Only complete rows are given: a session ends before its first turn that has no
 * answer or no score, and is left out where that is turn 0; (*out)->left says how many. */
MUST_CHECK enum status dataset_read(
    const char *path, struct dataset **out, struct error *err);

/* The same with every row that was planned: answers may be NULL and scores NAN. */
MUST_CHECK enum status dataset_read_all(
    const char *path, struct dataset **out, struct error *err);

/* Check that ids differ and compute data->digest; every reader calls it last. */
MUST_CHECK enum status dataset_seal(struct dataset *data, struct error *err);

void split_release(struct split *split);

/* A split from a file: {"train": [ids], "test": [ids]}; ids that the data set lacks or
 * that stand on both sides are E_DATA. */
MUST_CHECK enum status split_read(
    const char *path, const struct dataset *data, struct split *out, struct error *err);

/* train share of the sessions (or of the scenes: sessions of one scene stay together),
 * shuffled by (seed, "split"). */
MUST_CHECK enum status split_draw(const struct dataset *data, int by_scene, double train,
    uint64_t seed, struct split *out, struct error *err);

/* The split that a store froze under this name. */
MUST_CHECK enum status split_of_store(
    const char *store_path, const char *name, struct split *out, struct error *err);

/* The split of this name that belongs to where data was read from: frozen in the store, or
 * splits/NAME.json of the export folder.  E_NOT_FOUND names those there are. */
MUST_CHECK enum status split_of_data(
    const struct dataset *data, const char *name, struct split *out, struct error *err);

/* The session with this id, or NULL. */
const struct session *dataset_session(const struct dataset *data, int64_t id);

#endif
