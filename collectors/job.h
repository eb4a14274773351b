/* job.h - one attempt at a call on its way: rendered, sent, read.
 *
 * A job is passed from thread to thread and belongs to one at a time: the engine's
 * (builds the dialogue, writes the store), a worker's (job_render, job_read: JSON,
 * base64, hashing, zstd), the transport's (bytes). */
#ifndef COLLECTORS_JOB_H
#define COLLECTORS_JOB_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/dialogue.h"
#include "collectors/llm/protocol.h"
#include "collectors/llm/transport.h"
#include "collectors/server_facts.h"
#include "m4a1/base/hash.h"
#include "schema/llm.h"

struct job {
    struct job *next; /* in whatever list it waits */
    void *owner;      /* the engine */
    void *lane;       /* of its llm */

    int64_t call_id, block, order;
    int n_failed; /* attempts of this call that failed already and count */
    int is_fresh; /* to be sent over a new connection */
    int is_probe; /* sent alone, to see whether a server that was down is back */
    const struct llm *llm;
    const struct protocol *protocol;
    int is_simulated;  /* goes to the simulator: the answer has to be marked */
    int may_be_marked; /* else a marked answer of a real run is a failure */

    /* rendered */
    struct dialogue *dialogue; /* freed once rendered */
    struct body body;
    struct buffer packed_request;
    char request_sha256[HASH_HEX];               /* of the body as sent */
    int64_t max_input_tokens, max_output_tokens; /* the bounds a reservation is made of */
    struct error failed;                         /* it could not be rendered or read */

    /* sent */
    int64_t attempt_id, number, sent_ms;
    int64_t picked_ns, handed_ns; /* taken from the queue; given to the transport */
    int64_t reserved_pusd;        /* -1 = no price is known */
    int64_t run_id;
    int in_flight, llm_in_flight; /* calls in flight, this one included */
    int is_warm_up, is_isolated;
    struct exchange exchange;

    /* read */
    struct answer answer;
    struct server_facts told;
    struct buffer packed_received;
    int is_read, is_marked; /* the answer says that it is simulated */
};

struct job *job_new(void); /* NULL when out of memory */
void job_free(struct job *job);

/* For a worker.  Whatever goes wrong is in job->failed. */
void job_render(struct job *job);

/* For a worker: classify what came, scrub the key from it, parse and compress. */
void job_read(struct job *job);

#endif
