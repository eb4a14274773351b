/* tmo_setup.c - options to settings, and what is worth a warning. */
#include "m4a1/cli/tmo_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"

#define COSTS_TEXT_MAX 4096

/* The llm of a role: the one there is, or the one that --local or --cloud names. */
static enum status choose_llm(
    struct cli *cli, const struct dataset *data, int cloud, int *out, struct error *err)
{
    const char *role = cloud ? "cloud" : "local";
    const char *wanted = cli_value(cli, role);
    struct buffer names;
    size_t n = 0;
    enum status s = OK;
    *out = -1;
    buffer_init(&names, 4096);
    for (size_t i = 0; i < data->n_llms; i++) {
        if ((data->llms[i].cloud != 0) != cloud)
            continue;
        buffer_printf(&names, "%s%s", n++ ? ", " : "", data->llms[i].name);
        if (n == 1 || wanted) {
            if (!wanted || strcmp(wanted, data->llms[i].name) == 0)
                *out = (int)i;
        }
    }
    if (!n)
        s = error_set(err, E_DATA,
            "%s has no answers of a %s llm; the published environment chooses between a "
            "local and a cloud one, so collect from both",
            data->source, role);
    else if (wanted && *out < 0)
        s = cli_usage(cli, err, "--%s %s: %s has no such %s llm; it has %s", role, wanted,
            data->source, role, buffer_str(&names));
    else if (!wanted && n > 1)
        s = cli_usage(cli, err,
            "%s has %zu %s llms, and the published environment takes one; choose with "
            "--%s NAME among %s",
            data->source, n, role, role, buffer_str(&names));
    buffer_release(&names);
    return s;
}

/* ---- constraints ---- */

/* One KIND=BUDGET[/TURNS], which is changed. */
static enum status read_constraint(
    struct cli *cli, char *text, struct constraint *out, struct error *err)
{
    char *budget = strchr(text, '='), *turns;
    int64_t horizon = 0;
    if (!budget)
        return cli_usage(cli, err,
            "--constraints: \"%s\" is no KIND=BUDGET, as in latency=30 or usage=0.05/5",
            text);
    *budget++ = '\0';
    turns = strchr(budget, '/');
    if (turns)
        *turns++ = '\0';
    enum status s = constraint_kind_of(text, &out->kind, err);
    if (!s)
        s = text_to_double(
            budget, "--constraints: the budget", 0, 1e12, &out->budget, err);
    if (!s && turns)
        s = text_to_int(
            turns, "--constraints: the turns", 1, CONSTRAINT_MAX_HORIZON, &horizon, err);
    out->horizon = (size_t)horizon;
    return s ? cli_usage(cli, err, "%s", err ? err->msg : "--constraints") : OK;
}

static enum status read_constraints(
    struct cli *cli, struct environment_settings *set, struct error *err)
{
    const char *text = cli_value(cli, "constraints");
    if (!text)
        return OK;
    set->n_constraints = 0;
    enum status s = OK;
    for (const char *at = text; *at && !s;) {
        size_t len = strcspn(at, ",");
        if (set->n_constraints == CONSTRAINTS_MAX)
            return cli_usage(
                cli, err, "--constraints: more than %d of them", CONSTRAINTS_MAX);
        char *one = text_copy_n(at, len);
        s = one ? read_constraint(cli, one, &set->constraints[set->n_constraints++], err)
                : error_nomem(err, len);
        free(one);
        at += len + (at[len] == ',');
    }
    if (!s && constraints_check(set->constraints, set->n_constraints, err))
        s = cli_usage(cli, err, "--constraints: %s", err ? err->msg : text);
    return s;
}

static enum status read_handling(
    struct cli *cli, struct environment_settings *set, struct error *err)
{
    const char *name = cli_value(cli, "handling");
    set->resource_aware = cli_flag(cli, "resource-aware");
    if (name) {
        if (handling_of(name, &set->handling, err))
            return cli_usage(cli, err, "--handling: %s", err ? err->msg : name);
        // What a learner is held to it must see.
        set->resource_aware |= set->handling != HANDLING_NONE;
    } else if (set->as_published && set->resource_aware) {
        set->handling = HANDLING_PUBLISHED;
    }
    enum status s = cli_double(cli, "lambda", set->lambda, 0, 1e9, &set->lambda, err);
    return s ? s
             : cli_double(cli, "dual-rate", set->dual_rate, 0, 1e9, &set->dual_rate, err);
}

/* ---- all ---- */

static enum status read_costs(
    struct cli *cli, struct environment_settings *set, struct error *err)
{
    const struct costs_device *device;
    const struct costs_network *network;
    if (cli_value(cli, "device"))
        set->costs.device = cli_value(cli, "device");
    if (cli_value(cli, "network"))
        set->costs.network = cli_value(cli, "network");
    if (costs_find_device(set->costs.device, &device, err) ||
        costs_find_network(set->costs.network, &network, err))
        return cli_usage(cli, err, "%s", err ? err->msg : "unknown device or network");
    set->costs.device = device->name;
    set->costs.network = network->name;
    return OK;
}

static enum status read_encoding(struct cli *cli, const struct dataset *data,
    struct recorded_settings *out, struct error *err)
{
    int64_t tau;
    const char *space = cli_value(cli, "space");
    enum status s = cli_int(cli, "tau", 5, 1, SPACE_MAX_TAU, &tau, err);
    if (s)
        return s;
    if (!cli_flag(cli, "as-published")) {
        *out = recorded_defaults();
        out->tau = (size_t)tau;
        if (cli_value(cli, "local") || cli_value(cli, "cloud"))
            return cli_usage(cli, err,
                "--local and --cloud choose llms for --as-published; the default takes "
                "every llm of %s",
                data->source);
        if (space && !text_equal(space, "all") && !text_equal(space, "recorded"))
            return cli_usage(cli, err, "--space %s: it is all or recorded", space);
        if (text_equal(space, "recorded"))
            out->actions = ACTIONS_RECORDED;
        return OK;
    }
    if (space && !text_equal(space, "all"))
        return cli_usage(
            cli, err, "--space %s: the published environment has all", space);
    *out = recorded_published(-1, -1, (size_t)tau);
    s = choose_llm(cli, data, 0, &out->local, err);
    return s ? s : choose_llm(cli, data, 1, &out->cloud, err);
}

static enum status read_estimator(
    struct cli *cli, struct environment_settings *set, struct error *err)
{
    const char *name = cli_value(cli, "estimator");
    int64_t k;
    if (name && estimator_kind_of(name, &set->estimator.kind, err))
        return cli_usage(cli, err, "--estimator: %s", err ? err->msg : name);
    enum status s = cli_int(cli, "k", (int64_t)set->estimator.k, 1, KNN_MAX_K, &k, err);
    set->estimator.k = (size_t)k;
    return s;
}

static enum status read_transitions(
    struct cli *cli, struct environment_settings *set, struct error *err)
{
    const char *name = cli_value(cli, "transitions");
    if (!name)
        return OK;
    if (text_equal(name, "model"))
        set->transitions = TRANSITIONS_MODEL;
    else if (text_equal(name, "recorded"))
        set->transitions = TRANSITIONS_RECORDED;
    else
        return cli_usage(cli, err, "--transitions %s: it is model or recorded", name);
    return OK;
}

enum status tmo_setup_read(
    struct cli *cli, const struct dataset *data, struct tmo_setup *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct environment_settings *set = &out->environment;
    *set =
        cli_flag(cli, "as-published") ? environment_published() : environment_defaults();
    enum status s = read_encoding(cli, data, &out->recorded, err);
    if (!s)
        s = read_estimator(cli, set, err);
    if (!s)
        s = read_transitions(cli, set, err);
    if (!s)
        s = read_constraints(cli, set, err);
    if (!s)
        s = read_handling(cli, set, err);
    return s ? s : read_costs(cli, set, err);
}

void tmo_setup_warn(const struct recorded *rec)
{
    const struct dataset *data = rec->data;
    const struct left_out *left = &data->left;
    if (left->turns_unasked || left->turns_unscored)
        fprintf(stderr,
            "%zu turns of %s without an answer, %zu without a score and %zu behind those "
            "are left out, and with them %zu sessions.\n",
            left->turns_unasked, data->source, left->turns_unscored, left->turns_behind,
            left->sessions);
    if (rec->n_other_llm)
        fprintf(stderr,
            "%zu of %zu turns were answered by other llms than %s and %s; their scores "
            "are left out.\n",
            rec->n_other_llm, rec->n_turns, data->llms[rec->llms[0]].name,
            data->llms[rec->llms[1]].name);
    if (rec->n_unlisted)
        fprintf(stderr,
            "%zu scored answers are of no listed action; the estimator does not learn "
            "from them.\n",
            rec->n_unlisted);
    if (rec->n_unscored)
        fprintf(stderr, "%zu of %zu turns have no score and are left out.\n",
            rec->n_unscored, rec->n_turns);
    if (rec->n_unassociated)
        fprintf(stderr,
            "%zu of %zu turns have no associations; theirs count as 0, so views earn "
            "nothing there.\n",
            rec->n_unassociated, rec->n_turns);
    if (data->simulated)
        fprintf(stderr,
            "Answers of %s are simulated: figures say how the pipeline works, "
            "nothing about llms.\n",
            data->source);
}

void tmo_costs_warn(const struct environment *env)
{
    const struct recorded *rec = env->rec;
    const char *names[SPACE_MAX_LLMS];
    struct buffer text;
    for (size_t i = 0; i < rec->space.n_llms; i++)
        names[i] = rec->data->llms[rec->llms[i]].name;
    buffer_init(&text, COSTS_TEXT_MAX);
    costs_tell_filled(&env->costs, names, &text);
    if (text.len)
        fprintf(stderr,
            "Nobody measured what these cost, and they are taken in line with the "
            "others: %s.\n",
            buffer_str(&text));
    buffer_release(&text);
}
