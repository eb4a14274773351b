/* lane.c - see lane.h. */
#include "collectors/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

enum status lane_init(struct lane *lane, const struct llm *llm, const char *simulator_url,
    const struct pace_rules *rules, int64_t now_ns, struct error *err)
{
    memset(lane, 0, sizeof *lane);
    lane->llm = llm;
    lane->protocol = protocol_find(llm->protocol);
    lane->url =
        protocol_url(lane->protocol, llm, simulator_url ? simulator_url : llm->url);
    lane->headers = protocol_headers(lane->protocol, llm);
    lane->key = protocol_key(lane->protocol, llm);
    lane->waiting_size = LANE_MAX_WAITING + (size_t)(llm->slots > 0 ? llm->slots : 1);
    lane->waiting = malloc(lane->waiting_size * sizeof *lane->waiting);
    lane->cap_pusd = llm->max_usd > 0 ? (int64_t)(llm->max_usd * 1e12) : -1;
    lane->figures.name = text_copy(llm->name);
    pace_init(&lane->pace, rules, llm->slots, llm->rpm, llm->tpm, now_ns);
    if (lane->url && lane->headers && lane->waiting && lane->figures.name)
        return OK;
    lane_release(lane);
    return error_nomem(err, LANE_MAX_WAITING * sizeof(struct lane_retry));
}

void lane_release(struct lane *lane)
{
    free(lane->url);
    free(lane->headers);
    free(lane->waiting);
    free(lane->figures.name);
    memset(lane, 0, sizeof *lane);
}

int lane_is_closed(const struct lane *lane)
{
    return lane->is_capped || lane->is_late || lane->is_refused ||
           pace_is_given_up(&lane->pace);
}

static enum status learn_head(struct lane *lane, struct store *store, struct error *err)
{
    if (lane->head_is_known)
        return OK;
    enum status s =
        ready_peek(store, lane->llm->llm_id, &lane->head, &lane->has_head, err);
    lane->head_is_known = s == OK;
    return s;
}

enum status lane_peek(struct lane *lane, struct store *store, int64_t now_ns,
    struct lane_retry *out, int *found, struct error *err)
{
    *found = 0;
    for (size_t i = 0; i < lane->n_waiting; i++) {
        const struct lane_retry *w = &lane->waiting[i];
        if (w->due_ns <= now_ns && (!*found || ready_before(&w->call, &out->call))) {
            *out = *w;
            *found = 1;
        }
    }
    // Whatever is on its way may have to wait later, and then finds room.
    size_t n_may_wait =
        lane->n_waiting + (size_t)lane->pace.n_in_flight + (size_t)lane->n_ahead;
    if (*found || n_may_wait >= lane->waiting_size)
        return OK;
    enum status s = learn_head(lane, store, err);
    if (s == OK && lane->has_head) {
        *out = (struct lane_retry) { .call = lane->head };
        *found = 1;
    }
    return s;
}

enum status lane_take(struct lane *lane, struct store *store,
    const struct lane_retry *taken, struct error *err)
{
    for (size_t i = 0; i < lane->n_waiting; i++) {
        if (lane->waiting[i].call.call_id == taken->call.call_id) {
            lane->waiting[i] = lane->waiting[--lane->n_waiting];
            return OK;
        }
    }
    lane->head_is_known = 0;
    return ready_take(store, taken->call.call_id, err);
}

void lane_wait(struct lane *lane, const struct lane_retry *retry)
{
    assert(lane->n_waiting < lane->waiting_size); // lane_peek() sees to it
    lane->waiting[lane->n_waiting++] = *retry;
}

void lane_push(struct lane *lane, struct job *job)
{
    job->next = NULL;
    if (lane->last)
        lane->last->next = job;
    else
        lane->first = job;
    lane->last = job;
}

struct job *lane_pop(struct lane *lane)
{
    struct job *job = lane->first;
    if (job) {
        lane->first = job->next;
        if (!lane->first)
            lane->last = NULL;
        job->next = NULL;
    }
    return job;
}
