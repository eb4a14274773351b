/* recipe.h - what to collect: views, tasks, prompts, llms, prices and the plan's terms.
 *
 * JSON with comments.  Loading checks everything and reports all mistakes at once,
 * each with file, line, JSON path and what was expected.  Unknown keys are errors. */
#ifndef SCHEMA_RECIPE_H
#define SCHEMA_RECIPE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "schema/accepts.h"
#include "schema/llm.h"
#include "schema/store.h"
#include "schema/view.h"

#define RECIPE_MAX_VIEWS ACCEPTS_MAX_VIEWS

struct recipe_view {
    char *name;
    enum view_kind kind;
    int privacy;         /* level, 0 = public */
    int clip_frames;     /* of a video: frames an instant, the first at the instant */
    double clip_every_s; /* and the time from one to the next */
};

#define RECIPE_MIN_CLIP 2 /* frames of a clip */
#define RECIPE_MAX_CLIP 16

struct recipe_prompt {
    char *id;   /* NULL = none */
    char *task; /* one of tasks */
    char *text;
    char **needs; /* scene tags that a scene must have for this prompt */
    size_t n_needs;
};

/* Dated price of one llm, in pico-dollars a token.  Rows of one llm, tier and day are for
 * prompts of different size; one of them has min_input_tokens 0. */
struct recipe_price {
    char *llm;
    char *service_tier; /* lower case; "standard" unless said */
    int64_t valid_from_ms;
    int64_t min_input_tokens; /* of the whole prompt, cached ones included */
    int64_t input_pusd, cache_read_pusd, cache_write_pusd, output_pusd;
    char *source;
};

/* Which path and fan-out actions an llm offers. */
struct recipe_actions {
    char *llm;       /* a name, or "*" for those not named */
    int all_subsets; /* 1 = every subset of the views (that the llm accepts) */
    uint32_t *sets;  /* else these sets; bit i = views[i] of the recipe, not of a store */
    size_t n_sets;
};

/* What a data set shall hold at least (docs/planning.md); 0 = no minimum. */
struct recipe_minima {
    int64_t per_cell;   /* answers a task, turn, set of views in context and llm */
    int64_t per_action; /* answers a task, llm and set of added views */
    int64_t per_state;  /* different actions a state */
    int64_t per_prompt; /* answers a prompt */
};

struct recipe {
    char *path; /* the file, for messages */
    char *name;
    char *licence, *consent; /* NULL = not said */
    char *text; /* self-contained: as read, or printed anew where files were put in */

    struct recipe_view *views;
    size_t n_views;
    struct {
        int longest_side_px; /* 0 = never resized */
        int jpeg_quality;    /* 1..100 */
        double *at_s;        /* instants for videos */
        size_t n_at;
        double every_s; /* or one frame every so many seconds; 0 = not used */
        double audio_s; /* sound from an instant on, in seconds; 0 = the whole file */
    } frames;

    char **tasks;
    size_t n_tasks;
    struct recipe_prompt *prompts;
    size_t n_prompts;

    struct {
        int64_t n;
        int min_turns, max_turns;
        uint64_t seed;
        char *script; /* path of a JSON-lines file; NULL = sampled */
    } sessions;
    struct {
        int keep_images; /* 1 = views of earlier turns are sent again */
        int max_turns;   /* earlier turns sent; -1 = all */
    } history;

    struct llm *llms;
    size_t n_llms;
    struct recipe_price *prices;
    size_t n_prices;
    struct recipe_actions *actions;
    size_t n_actions;

    struct {
        char *behaviour;       /* "m4a1", "uniform", "balanced", "policy", "fixed" */
        char *policy;          /* "policy": the file; else NULL */
        double epsilon;        /* "policy": share of uniform choices */
        int greedy;            /* "policy": its best action, not its probabilities */
        char *action_llm;      /* "fixed": who answers every turn; else NULL */
        uint32_t action_views; /* "fixed": bit i = views[i] of the recipe */
        int64_t fan_out;       /* other actions a turn; -1 = all */
        int64_t samples;       /* times that each action is asked */
        double anchors;        /* share of old calls asked again beside a new llm */
        struct recipe_minima minima;
        double max_usd; /* < 0 = no cap */
    } plan;
    struct {
        char *judge_template; /* text; NULL = the built-in one */
        int judge_sees_views;
    } annotate;
    struct {
        char *group; /* "session" or "scene" */
        double train;
        uint64_t seed;
    } split;
};

/* Load a recipe file; path "m4a1" is the embedded one where no such file exists.  On
 * E_DATA problems holds one line a mistake ("FILE:LINE: PATH: expected ..., found ...")
 * and err the count; problems may be NULL. */
MUST_CHECK enum status recipe_load(
    const char *path, struct recipe **out, struct buffer *problems, struct error *err);

/* The recipe that a store was last given, from its text. */
MUST_CHECK enum status recipe_of_store(
    struct store *store, struct recipe **out, struct error *err);

void recipe_free(struct recipe *recipe);

/* What the recipe says of the actions of this llm, by its name or else by "*"; NULL where
 * it says nothing: then every subset of the views. */
const struct recipe_actions *recipe_actions_of(
    const struct recipe *recipe, const char *llm);

/* View i of the recipe as accepts.h counts it; its name is the recipe's. */
struct accepts_view recipe_accepts_view(const struct recipe *recipe, size_t i);

/* Put a recipe into a store: adds views, tasks, prompts, llms and prices, updates
 * settings, retires what the recipe no longer names, never edits what was used. */
MUST_CHECK enum status recipe_apply(
    struct store *store, const struct recipe *recipe, struct error *err);

/* Add prices only, from a recipe or from a file with a list of price rows for llms of the
 * store's own recipe.  A row that billed something keeps its figures, as in
 * recipe_apply().  n_added: rows that were not there. */
MUST_CHECK enum status recipe_add_prices(struct store *store, const char *path,
    int64_t *n_added, struct buffer *problems, struct error *err);

/* The text of the commented M4A1 recipe. */
const char *recipe_builtin(void);

#endif
