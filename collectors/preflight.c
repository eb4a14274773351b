/* preflight.c - all complaints of a run at once, before anything is sent. */
#include "collectors/preflight.h"

#include <stdio.h>
#include <string.h>

#include "collectors/bounds.h"
#include "collectors/ledger.h"
#include "collectors/llm/protocol.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/log.h"
#include "schema/accepts.h"
#include "schema/query.h"

#define MAX_COMPLAINTS 4096

static size_t find_llm(const struct llm *llms, size_t n, int64_t llm_id)
{
    size_t i = 0;
    while (i < n && llms[i].llm_id != llm_id)
        i++;
    return i;
}

static enum status find_used(struct store *store, const struct preflight_rules *rules,
    const struct llm *llms, size_t n_llms, int *used, struct error *err)
{
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT DISTINCT c.llm_id, c.purpose FROM call c"
        " WHERE NOT EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id)"
        " AND (?1 OR NOT EXISTS (SELECT 1 FROM attempt a"
        "  WHERE a.call_id = c.call_id AND a.final))",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "i", (int64_t)rules->scope->with_failed);
    while ((s = query_next(q, err)) == OK && query_has_row(q)) {
        size_t i = find_llm(llms, n_llms, query_int(q, 0));
        if (i < n_llms && ready_in_scope(rules->scope, query_text(q, 1), llms[i].llm_id))
            used[i] = 1;
    }
    query_close(q);
    return s;
}

static void complain(struct buffer *to, const struct llm *llm, const char *what)
{
    buffer_printf(to, "%s%s: %s", to->len ? "; " : "", llm->name, what);
}

static enum status check_price(struct store *store, const struct preflight_rules *rules,
    const struct llm *llm, struct buffer *out, struct error *err)
{
    struct price price;
    enum status s =
        ledger_dearest(store, llm->llm_id, clock_wall_ms(), INT64_MAX, &price, err);
    if (s != OK)
        return s;
    if (!price.is_known && !rules->allow_unpriced)
        complain(out, llm,
            "no price is known for today (add it to the recipe and run m4a1 init again,"
            " or use --allow-unpriced)");
    const char *key = bounds_missing(llm, rules->has_cap, price.output_pusd);
    if (key)
        buffer_printf(
            out, "%s%s: " BOUNDS_SENTENCE, out->len ? "; " : "", llm->name, key);
    return OK;
}

static enum status check_llm(struct store *store, const struct preflight_rules *rules,
    const struct llm *llm, struct buffer *out, struct error *err)
{
    struct error why = ERROR_INIT;
    const struct protocol *p = protocol_find(llm->protocol);
    if (!p) {
        buffer_printf(out, "%s%s: unknown protocol \"%s\" (known: %s)",
            out->len ? "; " : "", llm->name, llm->protocol ? llm->protocol : "",
            protocol_names());
        return OK;
    }
    if (protocol_check(p, llm, &why) != OK)
        complain(out, llm, why.msg);
    if (!rules->is_simulated) {
        if (!llm->url || !*llm->url)
            complain(out, llm, "it has no url");
        struct key_use key = protocol_key(p, llm);
        if (key_check(&key, &why) != OK)
            complain(out, llm, why.msg);
        else if (key_not_searched(&key))
            log_warn("llm %s: the key in %s " KEY_NOT_SEARCHED, llm->name,
                key_not_searched(&key));
    }
    return check_price(store, rules, llm, out, err);
}

/* Calls of an llm that bring more of one kind than it takes. */
struct excess {
    int64_t n_calls, first_call;
    struct accepts_why worst;
};

static void complain_of_views(struct buffer *to, const struct llm *llm,
    const struct accepts_view *views, const struct excess *e, int is_protocols)
{
    char doing[100];
    if (e->n_calls == 1)
        snprintf(doing, sizeof doing, "call %lld brings", (long long)e->first_call);
    else
        snprintf(doing, sizeof doing, "%lld calls, the first of them call %lld, bring%s",
            (long long)e->n_calls, (long long)e->first_call,
            e->worst.most ? " up to" : "");
    buffer_add_str(to, to->len ? "; " : "");
    accepts_explain(llm->name, views, &e->worst, doing, to);
    if (is_protocols)
        buffer_printf(to,
            " (%s is not known to take more; where it does, say how many in "
            "\"accepts\")",
            llm->protocol);
}

/* The views of an llm's calls, against what it accepts and, where it says nothing, against
 * what its protocol is known to take.  What a call is sure to send counts: all in context
 * where the plan sends earlier views again without bound, else those it adds. */
static enum status check_views(struct store *store, const struct preflight_rules *rules,
    const struct llm *llm, const struct accepts_view *views, struct buffer *out,
    struct error *err)
{
    const struct protocol *p = protocol_find(llm->protocol);
    int limits[N_VIEW_KINDS];
    memcpy(limits, llm->accepts, sizeof limits);
    int is_protocols = p && p->max_images > 0 && limits[VIEW_IMAGE] < 0;
    if (is_protocols)
        limits[VIEW_IMAGE] = p->max_images;
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT c.views_added, CASE WHEN c.text IS NULL"
        " AND coalesce(p.settings ->> '$.history.images', 'keep') = 'keep'"
        " AND p.settings ->> '$.history.max_turns' IS NULL"
        " THEN c.views_context ELSE 0 END, c.purpose, c.call_id"
        " FROM call c JOIN turn t USING (turn_id) JOIN session e USING (session_id)"
        " LEFT JOIN plan p USING (plan_id) WHERE c.llm_id = ?1"
        " AND NOT EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id)",
        &q, err);
    if (s != OK)
        return s;
    struct excess found[N_VIEW_KINDS] = { 0 };
    query_bind(q, "i", llm->llm_id);
    while ((s = query_next(q, err)) == OK && query_has_row(q)) {
        struct accepts_why why;
        if (accepts_action(limits, views, (uint32_t)query_int(q, 0),
                (uint32_t)query_int(q, 1), 1, &why) ||
            !ready_in_scope(rules->scope, query_text(q, 2), llm->llm_id))
            continue;
        struct excess *e = &found[why.kind];
        if (!e->n_calls++)
            e->first_call = query_int(q, 3);
        if (why.n > e->worst.n)
            e->worst = why;
    }
    query_close(q);
    for (int k = 0; s == OK && k < N_VIEW_KINDS; k++)
        if (found[k].n_calls)
            complain_of_views(
                out, llm, views, &found[k], is_protocols && k == VIEW_IMAGE);
    return s;
}

/* A dialogue whose history is made up teaches nothing about real llms, and the other way
 * round: the answers of a store are the simulator's, or none is. */
static enum status refuse_mixture(
    struct store *store, const struct preflight_rules *rules, struct error *err)
{
    int64_t n = 0;
    if (rules->is_rehearsal)
        return OK;
    enum status s = store_int(store, 0, &n, err,
        "SELECT count(*) FROM response WHERE attempt_id IS NOT NULL AND simulated <> ?",
        "i", (int64_t)rules->is_simulated);
    if (s != OK || !n)
        return s;
    return error_set(err, E_ARG,
        rules->is_simulated
            ? "nothing was sent: the store holds %lld real answers, and simulated ones "
              "do not "
              "go beside them; rehearse in a copy of the store from before"
            : "nothing was sent: the store holds %lld simulated answers, and real ones "
              "do not "
              "go beside them; go on with --simulator URL, or collect into a store of "
              "its own "
              "(m4a1 init, ingest, plan)",
        (long long)n);
}

enum status preflight(struct store *store, const struct preflight_rules *rules,
    const struct llm *llms, size_t n_llms, int *used, struct error *err)
{
    struct buffer out, fine; /* complaints; names of llms without any */
    struct accepts_store views = { 0 };
    buffer_init(&out, MAX_COMPLAINTS);
    buffer_init(&fine, MAX_COMPLAINTS);
    memset(used, 0, n_llms * sizeof *used);
    enum status s = refuse_mixture(store, rules, err);
    if (s == OK)
        s = find_used(store, rules, llms, n_llms, used, err);
    if (s == OK)
        s = accepts_load(store, &views, err);
    for (size_t i = 0; s == OK && i < n_llms; i++) {
        if (!used[i])
            continue;
        size_t before = out.len;
        s = check_llm(store, rules, &llms[i], &out, err);
        if (s == OK)
            s = check_views(store, rules, &llms[i], views.views, &out, err);
        if (out.len == before)
            buffer_printf(&fine, "%s%s", fine.len ? "," : "", llms[i].name);
    }
    if (s == OK && out.len)
        s = error_set(err, E_ARG, "nothing was sent: %s%s%s", buffer_str(&out),
            fine.len ? "; the others are fine: --llm " : "", buffer_str(&fine));
    buffer_release(&fine);
    accepts_release(&views);
    buffer_release(&out);
    return s;
}
