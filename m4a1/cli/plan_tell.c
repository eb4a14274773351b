/* plan_tell.c - see plan_tell.h. */
#include "m4a1/cli/plan_tell.h"

#include <math.h>
#include <stdio.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"

/* ---- as JSON ---- */

static void set_cap(
    struct json_keeper *k, struct json *root, const struct estimate_cap *c)
{
    if (c->cap_usd < 0)
        return;
    struct json *j = json_keep(k, json_set_object(root, "cap"));
    json_keep(k, json_set_number(j, "usd", c->cap_usd));
    json_keep(k, json_set_number(j, "spent_usd", c->spent_usd));
    json_keep(k, json_set_int(j, "open_calls", c->calls));
    json_keep(k, json_set_number(j, "open_usd", c->usd));
    json_keep(k, json_set_number(j, "open_judgements_usd", c->judge_usd));
    json_keep(k, json_set_number(j, "open_usd_high", c->usd_high));
}

void plan_set_estimate(
    struct json_keeper *k, struct json *root, const struct plan_estimate *e)
{
    struct json *j = json_keep(k, json_set_object(root, "estimate"));
    json_keep(k, json_set_int(j, "calls", e->calls));
    json_keep(k, json_set_int(j, "judgements", e->judgements));
    json_keep(k, json_set_number(j, "input_tokens", e->input_tokens));
    json_keep(k, json_set_number(j, "output_tokens", e->output_tokens));
    json_keep(k, json_set_number(j, "usd", e->usd));
    json_keep(k, json_set_number(j, "usd_low", e->usd_low));
    json_keep(k, json_set_number(j, "usd_high", e->usd_high));
    json_keep(k, json_set_number(j, "hours", e->hours));
    set_cap(k, j, &e->cap);
    if (e->thinnest.wanted) {
        struct json *cell = json_keep(k, json_set_object(j, "thinnest_cell"));
        json_keep(k, json_set_text(cell, "cell", e->thinnest.what));
        json_keep(k, json_set_int(cell, "planned", e->thinnest.planned));
        json_keep(k, json_set_int(cell, "wanted", e->thinnest.wanted));
    }
    struct json *list = json_keep(k, json_set_array(j, "llms"));
    for (size_t i = 0; i < e->n_llms; i++) {
        const struct estimate_llm *l = &e->llms[i];
        if (!l->calls)
            continue;
        struct json *row = json_keep(k, json_add_object(list));
        json_keep(k, json_set_text(row, "llm", l->name));
        json_keep(k, json_set_text(row, "basis", estimate_basis_names[l->basis]));
        json_keep(k, json_set_int(row, "measured_answers", l->n_measured));
        json_keep(k, json_set_int(row, "calls", l->calls));
        json_keep(k, json_set_number(row, "input_tokens", l->input_tokens));
        json_keep(k, json_set_number(row, "output_tokens", l->output_tokens));
        json_keep_figure(k, row, "usd", l->is_priced ? l->usd : NAN);
        json_keep_figure(k, row, "usd_low", l->is_priced ? l->usd_low : NAN);
        json_keep_figure(k, row, "usd_high", l->is_priced ? l->usd_high : NAN);
        json_keep(k, json_set_number(row, "latency_s", l->latency_s));
        json_keep(k, json_set_number(row, "hours", l->hours));
        set_cap(k, row, &l->cap);
    }
}

void plan_set_counts(struct json_keeper *k, struct json *j, const struct plan_counts *c)
{
    json_keep(k, json_set_int(j, "sessions", c->sessions));
    json_keep(k, json_set_int(j, "sessions_before", c->sessions_before));
    json_keep(k, json_set_int(j, "turns", c->turns));
    json_keep(k, json_set_int(j, "scenes", c->scenes));
    json_keep(k, json_set_int(j, "instants", c->instants));
    struct json *calls = json_keep(k, json_set_object(j, "calls"));
    json_keep(k, json_set_int(calls, "path", c->path));
    json_keep(k, json_set_int(calls, "fan_out", c->fan_out));
    json_keep(k, json_set_int(calls, "reference", c->reference));
    json_keep(k, json_set_int(calls, "check", c->check));
}

/* ---- for people ---- */

static void print_llms(const struct plan_estimate *e)
{
    struct table *t = table_new(7);
    table_row(t, "llm", "calls", "tokens in", "tokens out", "dollars", "time", "basis");
    for (size_t i = 0; i < e->n_llms; i++) {
        const struct estimate_llm *l = &e->llms[i];
        char calls[32], in[32], out[32], usd[48] = "-", time[32], basis[64];
        char a[16], b[16];
        if (!l->calls)
            continue;
        snprintf(calls, sizeof calls, "%lld", (long long)l->calls);
        snprintf(in, sizeof in, "%.0f", l->input_tokens);
        snprintf(out, sizeof out, "%.0f", l->output_tokens);
        if (l->is_priced)
            snprintf(usd, sizeof usd, "%s to %s", text_usd(l->usd_low, a, sizeof a),
                text_usd(l->usd_high, b, sizeof b));
        text_duration(3600 * l->hours, time, sizeof time);
        if (l->basis == BASIS_GUESSED)
            snprintf(basis, sizeof basis, "a guess");
        else
            snprintf(basis, sizeof basis, "%lld answer%s%s", (long long)l->n_measured,
                text_s(l->n_measured), l->basis == BASIS_SIMULATED ? ", simulated" : "");
        table_row(t, l->name, calls, in, out, usd, time, basis);
    }
    table_print(t);
    table_free(t);
}

/* How far the figures can be trusted. */
static void print_basis(const struct plan_estimate *e)
{
    int n_llms = 0;
    for (size_t i = 0; i < e->n_llms; i++)
        n_llms += e->llms[i].calls > 0;
    if (e->n_guessed < n_llms)
        printf("The ranges cover chance, not price changes.\n");
    if (e->n_guessed == n_llms)
        printf("No llm has an answer in this store yet: all figures are a guess ");
    else if (e->n_guessed)
        printf("%d llm%s %s no answer in this store yet: %s figures are a guess ",
            e->n_guessed, text_s(e->n_guessed), e->n_guessed == 1 ? "has" : "have",
            e->n_guessed == 1 ? "its" : "their");
    if (e->n_guessed)
        printf(
            "from defaults (a token\nfor 4 bytes of prompts, 250 tokens an answer, the "
            "recipe's image_tokens), not a measurement;\ncollect some calls, then m4a1 "
            "plan --dry-run goes by these.\n");
    if (e->n_simulated)
        printf("Of %d llm%s only simulated answers are there; real ones will differ.\n",
            e->n_simulated, text_s(e->n_simulated));
    if (e->n_unpriced)
        printf("%d llm%s %s no price for today (-); %s dollars are not counted.\n",
            e->n_unpriced, text_s(e->n_unpriced), e->n_unpriced == 1 ? "has" : "have",
            e->n_unpriced == 1 ? "its" : "their");
}

/* What a cap will do; llm NULL = the recipe's own, over all. */
static void print_cap(const struct estimate_cap *c, const char *llm)
{
    char cap[24], spent[24], usd[24], whose[160] = "The", raise[160];
    double left = c->cap_usd - c->spent_usd;
    if (c->cap_usd < 0 || !c->calls || c->usd_high <= left)
        return;
    if (llm)
        snprintf(whose, sizeof whose, "llm %.100s: its", llm);
    snprintf(raise, sizeof raise,
        llm ? "raise limits.max_usd of %.80s in the recipe"
            : "raise plan.max_usd, or give m4a1 collect a higher --max-usd%s",
        llm ? llm : "");
    text_usd(c->cap_usd, cap, sizeof cap);
    text_usd(c->spent_usd, spent, sizeof spent);
    if (left <= 0)
        printf("%s cap of %s is reached (%s spent): nothing will be sent; %s.\n", whose,
            cap, spent, raise);
    else if (c->usd > left)
        printf("%s cap of %s (%s spent) will stop this run at about call %.0f of %lld; "
               "%s.\n",
            whose, cap, spent, 1 + (double)c->calls * left / c->usd, (long long)c->calls,
            raise);
    else if (c->usd + c->judge_usd > left)
        printf("%s cap of %s (%s spent) lets all calls through, but not all judgements: "
               "together about %s; %s.\n",
            whose, cap, spent, text_usd(c->usd + c->judge_usd, usd, sizeof usd), raise);
    else
        printf("%s cap of %s (%s spent) may stop this run: it can take up to %s; %s.\n",
            whose, cap, spent, text_usd(c->usd_high, usd, sizeof usd), raise);
}

void plan_print_estimate(const struct plan_estimate *e, int with_thinnest)
{
    char usd[24], low[24], high[24], time[32];
    if (!e->calls)
        return;
    printf("\nExpected: %lld call%s and %lld judgement%s, %.0f tokens in and %.0f out,\n"
           "%s (%s to %s), about %s.\n",
        (long long)e->calls, text_s(e->calls), (long long)e->judgements,
        text_s(e->judgements), e->input_tokens, e->output_tokens,
        text_usd(e->usd, usd, sizeof usd), text_usd(e->usd_low, low, sizeof low),
        text_usd(e->usd_high, high, sizeof high),
        text_duration(3600 * e->hours, time, sizeof time));
    print_llms(e);
    print_basis(e);
    print_cap(&e->cap, NULL);
    for (size_t i = 0; i < e->n_llms; i++)
        print_cap(&e->llms[i].cap, e->llms[i].name);
    if (with_thinnest && e->thinnest.wanted)
        printf("Thinnest cell: %s: %lld planned, %lld wanted%s.\n", e->thinnest.what,
            (long long)e->thinnest.planned, (long long)e->thinnest.wanted,
            e->thinnest.planned < e->thinnest.wanted ? " (m4a1 plan --fill adds to it)"
                                                     : " at least");
}
