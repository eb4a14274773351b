/* preflight.c - all complaints of a run at once, before anything is sent. */
#include "collectors/preflight.h"

#include <string.h>

#include "collectors/ledger.h"
#include "collectors/llm/protocol.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/clock.h"
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
        if (i < n_llms && ready_in_scope(rules->scope, query_text(q, 1)))
            used[i] = 1;
    }
    query_close(q);
    return s;
}

static void complain(struct buffer *to, const struct llm *llm, const char *what)
{
    buffer_printf(to, "%s%s: %s", to->len ? "; " : "", llm->name, what);
}

static void complain_of_length(
    struct buffer *to, const struct llm *llm, const struct protocol *p)
{
    buffer_printf(to,
        "%s%s: a spending cap needs a bound of the answer's length; set %s in its "
        "parameters",
        to->len ? "; " : "", llm->name, p->max_tokens_key);
}

static enum status check_price(struct store *store, const struct preflight_rules *rules,
    const struct llm *llm, const struct protocol *p, struct buffer *out,
    struct error *err)
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
    if ((rules->has_cap || llm->max_usd > 0) && price.output_pusd > 0 &&
        p->max_output_tokens(llm) < 0)
        complain_of_length(out, llm, p);
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
    }
    return check_price(store, rules, llm, p, out, err);
}

static int popcount(int64_t views)
{
    return __builtin_popcountll((unsigned long long)views);
}

/* Images that a call is sure to send: all in context where the plan sends earlier views
 * again without bound, else those it adds.  An llm that accepts none is sent the text of
 * the dialogue, so only what its own calls add counts. */
static enum status check_images(struct store *store, const struct preflight_rules *rules,
    const struct llm *llm, struct buffer *out, struct error *err)
{
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT CASE WHEN c.text IS NULL AND ?2"
        " AND coalesce(p.settings ->> '$.history.images', 'keep') = 'keep'"
        " AND p.settings ->> '$.history.max_turns' IS NULL"
        " THEN c.views_context ELSE c.views_added END, c.purpose, c.call_id"
        " FROM call c JOIN turn t USING (turn_id) JOIN session e USING (session_id)"
        " LEFT JOIN plan p USING (plan_id) WHERE c.llm_id = ?1"
        " AND NOT EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id)",
        &q, err);
    if (s != OK)
        return s;
    int64_t n_calls = 0, first_call = 0;
    int most = 0;
    query_bind(q, "ii", llm->llm_id, (int64_t)(llm->accepts[VIEW_IMAGE] != 0));
    while ((s = query_next(q, err)) == OK && query_has_row(q)) {
        int n = popcount(query_int(q, 0));
        if (n <= llm->accepts[VIEW_IMAGE] || !ready_in_scope(rules->scope, query_text(q, 1)))
            continue;
        if (!n_calls++)
            first_call = query_int(q, 2);
        most = n > most ? n : most;
    }
    query_close(q);
    if (s == OK && n_calls)
        buffer_printf(out,
            "%s%s: %lld calls (the first is call %lld) have up to %d images, but the llm"
            " accepts %d",
            out->len ? "; " : "", llm->name, (long long)n_calls, (long long)first_call,
            most, llm->accepts[VIEW_IMAGE]);
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
              "go beside them; collect into a store of its own (m4a1 init, ingest, plan)",
        (long long)n);
}

enum status preflight(struct store *store, const struct preflight_rules *rules,
    const struct llm *llms, size_t n_llms, int *used, struct error *err)
{
    struct buffer out;
    buffer_init(&out, MAX_COMPLAINTS);
    memset(used, 0, n_llms * sizeof *used);
    enum status s = refuse_mixture(store, rules, err);
    if (s == OK)
        s = find_used(store, rules, llms, n_llms, used, err);
    for (size_t i = 0; s == OK && i < n_llms; i++) {
        if (!used[i])
            continue;
        s = check_llm(store, rules, &llms[i], &out, err);
        if (s == OK && llms[i].accepts[VIEW_IMAGE] >= 0)
            s = check_images(store, rules, &llms[i], &out, err);
    }
    if (s == OK && out.len)
        s = error_set(err, E_ARG, "nothing was sent: %s", buffer_str(&out));
    buffer_release(&out);
    return s;
}
