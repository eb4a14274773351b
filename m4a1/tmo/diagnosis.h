/* diagnosis.h - four ways in which training fails without saying so, each with the figure
 * that shows it, the threshold, its likely cause and the next command.
 *
 *   always local      nearly every test turn is left to local llms.  Cause: the cloud is
 *                     underestimated against held-out scores, or the reward's weights of
 *                     latency and usage outweigh what the cloud answers better
 *   all views         the cloud sees every view for every task.  Cause: associations that
 *                     hardly differ between views (min-max makes them count all the same),
 *                     or their weight
 *   violations        sessions exceed budgets though training is charged for it.  Cause:
 *                     the charge is small against the reward, or a policy that does not
 *                     see what it has used up (tau, resource_aware), or budgets that
 *                     nobody can meet
 *   variance          policies of several seeds earn very different rewards.  Cause: what
 *                     the estimator gives is mostly noise (held-out error against the
 *                     scores' variance), and k decides how much of it */
#ifndef M4A1_TMO_DIAGNOSIS_H
#define M4A1_TMO_DIAGNOSIS_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"
#include "m4a1/tmo/chooser.h"

enum diagnosis_kind {
    DIAGNOSIS_LOCAL,
    DIAGNOSIS_VIEWS,
    DIAGNOSIS_VIOLATIONS,
    DIAGNOSIS_VARIANCE,
};
#define N_DIAGNOSES 4
extern const char *const diagnosis_names[N_DIAGNOSES]; /* "always local", ... */

/* Beyond these a signature is there. */
#define DIAGNOSIS_LOCAL_SHARE 0.9
#define DIAGNOSIS_VIEWS_SHARE 0.8
#define DIAGNOSIS_VIOLATION_RATE 0.1
#define DIAGNOSIS_DEVIATION 0.1 /* of the mean reward */
#define DIAGNOSIS_BIAS 0.1      /* score that a role is worth more than estimated */
#define DIAGNOSIS_SPREAD 0.1    /* associations of a turn: deviation over mean */
#define DIAGNOSIS_NOISE 0.9     /* held-out error over variance of the scores */
#define DIAGNOSIS_MIN_RUNS 3    /* seeds, for the variance between them */

/* One policy: what it chooses by, and the sessions that it was not trained on. */
struct diagnosis_run {
    const struct environment *env;
    const size_t *sessions; /* [n] indices into env->rec */
    size_t n;
    const struct chooser *chooser;
};

struct diagnosis_finding {
    enum diagnosis_kind kind;
    int applies; /* 0: this data or config cannot show it; said tells why */
    int found;
    double figure, threshold;
    char said[400];  /* the figure in words */
    char cause[400]; /* "" unless found */
    char next[500];  /* the command to try next; "" unless found */
};

struct diagnosis {
    struct diagnosis_finding findings[N_DIAGNOSES];
};

/* Look at n policies of one config (one a seed).  command is what trains with this config,
 * say "m4a1 train DATA --config POLICY"; the next commands add options to it.  E_ARG where
 * there is no turn. */
MUST_CHECK enum status diagnosis_make(const struct diagnosis_run *runs, size_t n,
    const char *command, struct diagnosis *out, struct error *err);

/* The findings as a list in object: name, found, figure, threshold, said, cause, next. */
MUST_CHECK enum status diagnosis_write(
    const struct diagnosis *d, struct json *object, struct error *err);

#endif
