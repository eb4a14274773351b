/* lane.h - one llm within a run: its queue, its pace, what waits to be asked again.
 *
 * Belongs to the engine's thread. */
#ifndef COLLECTORS_LANE_H
#define COLLECTORS_LANE_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/engine.h"
#include "collectors/job.h"
#include "collectors/pace.h"
#include "collectors/ready.h"

/* Calls in back-off beside as many as its slots; beyond it nothing new begins. */
#define LANE_MAX_WAITING 256

/* A call that failed and waits. */
struct lane_retry {
    struct ready_call call;
    int n_failed;
    int is_known; /* n_failed is; else the store tells */
    int is_fresh; /* over a new connection */
    int64_t due_ns;
};

struct lane {
    const struct llm *llm;
    const struct protocol *protocol;
    char *url, *headers; /* of every call */
    struct key_use key;
    struct pace pace;
    struct lane_retry *waiting; /* [waiting_size] */
    size_t n_waiting, waiting_size;
    struct job *first, *last; /* rendered, to be sent */
    int n_ahead;              /* being rendered, or rendered */
    struct ready_call head;   /* the first of the ready calls */
    int head_is_known, has_head;
    int64_t cap_pusd;                  /* of this llm alone; -1 = none */
    int64_t spent_pusd, reserved_pusd; /* of this llm, as in the engine */
    int64_t longest_ns; /* of its latest answers: what a call may need to finish */
    int is_capped;      /* its next call does not fit under a cap */
    int is_late;        /* a call sent now would not be done by the deadline */
    int is_refused; /* its server will take nothing more: no key, no money, no model */
    int is_warm;    /* it was sent something in this run */
    struct engine_llm figures;
};

MUST_CHECK enum status lane_init(struct lane *lane, const struct llm *llm,
    const char *simulator_url, const struct pace_rules *rules, int64_t now_ns,
    struct error *err);
void lane_release(struct lane *lane);

/* True where nothing more is begun for this llm in this run. */
int lane_is_closed(const struct lane *lane);

/* The call to begin next: one that waited long enough, else the first that is ready.
 * *found is 0 where there is none now. */
MUST_CHECK enum status lane_peek(struct lane *lane, struct store *store, int64_t now_ns,
    struct lane_retry *out, int *found, struct error *err);
/* Take the call that lane_peek() gave. */
MUST_CHECK enum status lane_take(struct lane *lane, struct store *store,
    const struct lane_retry *taken, struct error *err);

void lane_wait(struct lane *lane, const struct lane_retry *retry);
void lane_push(struct lane *lane, struct job *job); /* rendered; kept in order */
struct job *lane_pop(struct lane *lane);

#endif
