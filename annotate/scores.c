/* scores.c - score rows. */
#include "annotate/scores.h"

#include "annotate/refusal.h"
#include "schema/query.h"

enum status score_put(struct store *store, const struct score *score, struct error *err)
{
    return store_run(store, err,
        "INSERT INTO score (response_id, scorer, version, value, reason, judge_call_id, "
        "details) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (response_id, scorer, "
        "version) "
        "DO UPDATE SET value = excluded.value, reason = excluded.reason, "
        "judge_call_id = excluded.judge_call_id, details = excluded.details "
        "WHERE value IS NULL",
        "ittDtIt", score->response_id, score->scorer, score->version, score->value,
        score->reason, score->judge_call_id ? &score->judge_call_id : NULL,
        score->details);
}

enum status scores_mark_refusals(struct store *store, int64_t *n_new, struct error *err)
{
    *n_new = 0;
    struct query *q = NULL;
    enum status s = store_begin(store, err);
    if (!s)
        s = query_open(store,
            "SELECT response_id, r.text FROM response r JOIN call c USING (call_id) "
            "WHERE "
            "response_id > ? AND c.purpose IN ('path', 'fan_out', 'reference', 'check') "
            "AND NOT "
            "EXISTS "
            "(SELECT 1 FROM score WHERE response_id = r.response_id AND scorer = ? "
            "AND version = ?) "
            "ORDER BY response_id LIMIT 1",
            &q, err);
    int64_t last = 0;
    while (!s) {
        query_bind(q, "itt", last, REFUSAL_SCORER, REFUSAL_VERSION);
        s = query_next(q, err);
        if (s || !query_has_row(q))
            break;
        last = query_int(q, 0);
        double value = refusal_published(query_text(q, 1));
        struct score score = { .response_id = last,
            .scorer = REFUSAL_SCORER,
            .version = REFUSAL_VERSION,
            .value = &value };
        s = score_put(store, &score, err);
        ++*n_new;
    }
    query_close(q);
    if (!s)
        s = store_commit(store, err);
    store_rollback(store);
    return s;
}
