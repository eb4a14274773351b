/* plan_estimate.h - what planned calls will take: tokens, dollars, hours.
 *
 * Tokens, cost and latency of an llm are the means over its answers in the store, by the
 * number of images in context and the turn; today's price is put on the tokens of each of
 * them, and the range is that of estimate_spread.h, widened by what failed so far.  An
 * llm without answers is guessed from the lengths of prompts and the recipe's
 * image_tokens, and says so.  docs/planning.md tells the formulas. */
#ifndef COLLECTORS_PLAN_ESTIMATE_H
#define COLLECTORS_PLAN_ESTIMATE_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/plan_inputs.h"
#include "schema/store.h"

enum estimate_basis {
    BASIS_MEASURED,
    BASIS_SIMULATED, /* measured, but of simulated answers only */
    BASIS_GUESSED,
};
extern const char *const estimate_basis_names[3]; /* "measured", "simulated", ... */

/* What a call of one llm takes. */
struct estimate_call {
    double input_tokens, output_tokens; /* all classes; reasoning is output */
    double usd, usd_low, usd_high; /* a call: mean, and a range of it where guessed */
};

/* What is left to be sent, of this plan and of earlier ones, against a cap. */
struct estimate_cap {
    double cap_usd;   /* < 0 = there is none */
    double spent_usd; /* what counts against it so far */
    int64_t calls;    /* still open; judgements not counted */
    double usd;       /* of these */
    double judge_usd; /* of the judgements that they will need */
    double usd_high;  /* upper end of both */
};

struct estimate_llm {
    char *name;
    enum llm_role role;
    enum estimate_basis basis;
    int64_t n_measured; /* answers it rests on */
    int is_priced;      /* 0 = dollars are left out */
    double latency_s;
    double failing_share; /* of its calls, the most that is likely by those so far */
    double usd_a_loss;    /* reserved for attempts without an answer, an answered call */
    /* what is planned */
    int64_t calls;
    double input_tokens, output_tokens, usd, usd_low, usd_high, hours;
    struct estimate_cap cap; /* of its own */
};

struct plan_estimate {
    struct estimate_llm *llms; /* [n_llms], as the inputs have them; owned */
    size_t n_llms;
    int64_t calls;      /* planned calls */
    int64_t judgements; /* that annotate will plan for them */
    double input_tokens, output_tokens;
    double usd, usd_low, usd_high; /* the range holds with 95 % (docs/planning.md) */
    double hours;                  /* of the slowest llm, and the judges behind it */
    int n_guessed, n_unpriced, n_simulated; /* llms with calls, of that kind */
    struct estimate_cap cap;                /* the recipe's */
    struct {
        char what[200];          /* in words */
        int64_t planned, wanted; /* wanted 0 = there is none */
    } thinnest; /* the cell (cells.h) furthest from its minimum once all is answered */
};

/* The last call of the store, 0 where there is none. */
MUST_CHECK enum status plan_last_call(
    struct store *store, int64_t *out, struct error *err);

/* Sum up the calls behind last_call that have no answer, and the judgements of them.
 * Release with plan_estimate_release(). */
MUST_CHECK enum status plan_estimate(struct store *store, const struct plan_inputs *in,
    int64_t last_call, struct plan_estimate *out, struct error *err);
void plan_estimate_release(struct plan_estimate *e);

/* The same model for single calls, for those that plan within a budget. */
struct estimate_model;
MUST_CHECK enum status estimate_model_load(struct store *store,
    const struct plan_inputs *in, struct estimate_model **out, struct error *err);
void estimate_model_free(struct estimate_model *m); /* NULL is fine */

/* A call of llm (index into the inputs' llms) with n_images behind position earlier
 * turns, whose prompts have so many bytes on average. */
struct estimate_call estimate_one(const struct estimate_model *m, size_t llm,
    int n_images, double position, double prompt_bytes);

/* A call with all that follows from it: the judgements of its answer. */
double estimate_usd_with_judges(const struct estimate_model *m, size_t llm, int n_images,
    double position, double prompt_bytes);

#endif
