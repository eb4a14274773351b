/* constraints.c - budgets, and what of them a session has used. */
#include "m4a1/tmo/constraints.h"

#include <math.h>
#include <string.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"

/* Sums that meet a budget exactly may be off by their rounding. */
#define ROUNDING 1e-12

const char *const constraint_names[N_CONSTRAINT_KINDS] = { "latency", "usage",
    "privacy" };
const char *const constraint_units[N_CONSTRAINT_KINDS] = { "s", "USD", "levels" };
const char *const handling_names[N_HANDLINGS] = { "none", "published", "penalty",
    "lagrangian", "shield" };

static enum status find_name(const char *what, const char *name, const char *const *names,
    size_t n, size_t *out, struct error *err)
{
    for (*out = 0; *out < n; ++*out)
        if (strcmp(names[*out], name) == 0)
            return OK;
    struct buffer list;
    buffer_init(&list, 512);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&list, "%s%s", i ? ", " : "", names[i]);
    enum status s = error_set(
        err, E_ARG, "no %s \"%s\"; there are: %s", what, name, buffer_str(&list));
    buffer_release(&list);
    *out = 0;
    return s;
}

enum status constraint_kind_of(
    const char *name, enum constraint_kind *out, struct error *err)
{
    size_t i;
    enum status s =
        find_name("constraint", name, constraint_names, N_CONSTRAINT_KINDS, &i, err);
    *out = (enum constraint_kind)i;
    return s;
}

enum status handling_of(
    const char *name, enum constraint_handling *out, struct error *err)
{
    size_t i;
    enum status s =
        find_name("handling of constraints", name, handling_names, N_HANDLINGS, &i, err);
    *out = (enum constraint_handling)i;
    return s;
}

enum status constraints_check(const struct constraint *list, size_t n, struct error *err)
{
    if (n > CONSTRAINTS_MAX)
        return error_set(
            err, E_ARG, "%zu constraints, and %d is the most", n, CONSTRAINTS_MAX);
    for (size_t i = 0; i < n; i++) {
        const char *name = constraint_names[list[i].kind];
        // Uses are counted as shares of the budget, so one next to 0 has no shares.
        if (!isfinite(list[i].budget) || list[i].budget < 0 ||
            (list[i].budget > 0 && list[i].budget < 1e-9))
            return error_set(err, E_ARG,
                "constraint %zu (%s): a budget is 0 or a number of %s from 1e-9, not %g",
                i, name, constraint_units[list[i].kind], list[i].budget);
        if (list[i].horizon > CONSTRAINT_MAX_HORIZON)
            return error_set(err, E_ARG,
                "constraint %zu (%s): a horizon is 0 for the session or 1 to %d turns, "
                "not %zu",
                i, name, CONSTRAINT_MAX_HORIZON, list[i].horizon);
        for (size_t j = 0; j < i; j++)
            if (list[j].kind == list[i].kind && list[j].horizon == list[i].horizon)
                return error_set(err, E_ARG,
                    "constraints %zu and %zu both limit %s over the same horizon", j, i,
                    name);
    }
    return OK;
}

void ledger_start(struct ledger *ledger, const struct constraint *list, size_t n)
{
    ledger->n_turns = 0;
    for (size_t k = 0; k < N_CONSTRAINT_KINDS; k++)
        ledger->total[k] = 0;
    for (size_t i = 0; i < n; i++) {
        ledger->budget[i] = ledger->remaining[i] = list[i].budget;
        ledger->peak[i] = 0;
    }
}

/* The use of the last horizon turns, the newest included; summed anew, so that no
 * rounding is carried along. */
static double use_of_window(const struct ledger *ledger, const struct constraint *one)
{
    size_t n = ledger->n_turns < one->horizon ? ledger->n_turns : one->horizon;
    double sum = 0;
    for (size_t t = ledger->n_turns - n; t < ledger->n_turns; t++)
        sum += ledger->recent[t % CONSTRAINT_MAX_HORIZON].of[one->kind];
    return sum;
}

void ledger_spend(struct ledger *ledger, const struct constraint *list, size_t n,
    const struct turn_cost *cost)
{
    ledger->recent[ledger->n_turns % CONSTRAINT_MAX_HORIZON] = *cost;
    ledger->n_turns++;
    for (size_t k = 0; k < N_CONSTRAINT_KINDS; k++)
        ledger->total[k] += cost->of[k];
    for (size_t i = 0; i < n; i++) {
        double use = ledger->total[list[i].kind];
        if (list[i].horizon) {
            use = use_of_window(ledger, &list[i]);
            ledger->remaining[i] = ledger->budget[i] - use;
        } else {
            ledger->remaining[i] -= cost->of[list[i].kind];
        }
        if (use > ledger->peak[i])
            ledger->peak[i] = use;
    }
}

double ledger_excess(const struct ledger *ledger, size_t i)
{
    double excess = ledger->peak[i] - ledger->budget[i];
    return excess > ROUNDING * ledger->budget[i] ? excess : 0;
}
