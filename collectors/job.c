/* job.c - the work on one attempt that needs neither store nor socket. */
#include "collectors/job.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/llm/key_pieces.h"
#include "m4a1/base/text.h"
#include "schema/payload.h"

#define SIMULATED_HEADER "x-m4a1-simulated"

struct job *job_new(void)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    body_init(&job->body);
    buffer_init(&job->packed_request, BODY_MAX);
    buffer_init(&job->packed_received, BODY_MAX);
    buffer_init(&job->exchange.headers, EXCHANGE_MAX_HEADERS);
    buffer_init(&job->exchange.received, EXCHANGE_MAX_BODY);
    answer_init(&job->answer);
    return job;
}

void job_free(struct job *job)
{
    if (!job)
        return;
    dialogue_free(job->dialogue);
    body_release(&job->body);
    buffer_release(&job->packed_request);
    buffer_release(&job->packed_received);
    exchange_release(&job->exchange);
    answer_release(&job->answer);
    free(job);
}

/* What the body says beside the dialogue: tools, schemas of answers and other parameters
 * that a server puts into its prompt.  No server makes more than a token of a byte. */
static int64_t n_parameter_tokens(const struct job *job)
{
    int64_t n = -(int64_t)dialogue_n_text_bytes(job->dialogue);
    for (size_t i = 0; i < job->body.n_pieces; i++)
        if (!job->body.pieces[i].frame)
            n += (int64_t)job->body.pieces[i].len;
    return n > 0 ? n : 0;
}

void job_render(struct job *job)
{
    job->max_input_tokens =
        dialogue_max_input_tokens(job->dialogue, job->llm->image_tokens);
    job->max_output_tokens = job->protocol->max_output_tokens(job->llm);
    enum status s =
        protocol_render(job->protocol, job->llm, job->dialogue, &job->body, &job->failed);
    if (s == OK)
        job->max_input_tokens += n_parameter_tokens(job);
    if (s == OK)
        s = payload_pack(buffer_str(&job->body.text), job->body.text.len,
            &job->packed_request, &job->failed);
    if (s == OK) // what fails stands in job->failed
        (void)!body_hash(&job->body, job->request_sha256, &job->failed);
    dialogue_free(job->dialogue);
    job->dialogue = NULL;
}

static enum failure failure_of_end(const struct exchange *ex)
{
    switch (ex->end) {
    case EXCHANGE_COMPLETE: return FAILURE_NONE;
    case EXCHANGE_UNREACHED: return FAILURE_CONNECT;
    case EXCHANGE_TIMED_OUT: return FAILURE_TIMEOUT;
    case EXCHANGE_TOO_LARGE: return FAILURE_TOO_LARGE;
    case EXCHANGE_STALE: return FAILURE_STALE;
    case EXCHANGE_ABORTED: return FAILURE_ABORTED;
    case EXCHANGE_BROKEN: break;
    }
    return FAILURE_NETWORK;
}

static void set_failure(struct job *job, enum failure failure, const char *why)
{
    job->answer.failure = failure;
    free(job->answer.error);
    job->answer.error = text_copy(why);
    if (!job->answer.error)
        (void)error_nomem(&job->failed, 1);
}

static size_t scrub_text(const struct job *job, char *s)
{
    return s ? key_scrub(&job->exchange.key, s, strlen(s)) : 0;
}

/* For a key that only putting the pieces of a stream together shows: no search finds it in
 * the bytes that were received, so those are not kept, nor what an error quotes of them. */
static void scrub_answer(struct job *job)
{
    struct answer *a = &job->answer;
    struct buffer *received = &job->exchange.received;
    char *texts[] = { a->error, a->text, a->unfinished, a->provider_stop, a->model,
        a->fingerprint, a->request_id, a->usage };
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        n += scrub_text(job, texts[i]);
    if (!received->len ||
        (!n && !key_in_pieces(&job->exchange.key, received->data, received->len)))
        return;
    if (a->failure != FAILURE_NONE)
        set_failure(job, a->failure,
            "what the server said is not kept: it sent a key back, in pieces");
    explicit_bzero(received->data, received->len);
    buffer_clear(received);
    buffer_add_str(received, "(not kept: the server sent a key back, in pieces)");
}

/* What the server said decides where it said something; else how the exchange ended. */
static void classify(struct job *job)
{
    struct exchange *ex = &job->exchange;
    enum failure of_end = failure_of_end(ex);
    if (ex->http_status == 0 || of_end == FAILURE_ABORTED || of_end == FAILURE_STALE) {
        set_failure(job, of_end == FAILURE_NONE ? FAILURE_MALFORMED : of_end, ex->error);
        return;
    }
    struct wire_answer wire = { ex->http_status, buffer_str(&ex->headers),
        buffer_str(&ex->received), ex->received.len, of_end == FAILURE_NONE };
    if (job->protocol->parse(&wire, &job->answer, &job->failed) != OK)
        return;
    // The end tells more than "truncated" does, unless the answer was whole before it.
    int is_cut = job->answer.failure == FAILURE_TRUNCATED ||
                 job->answer.failure == FAILURE_MALFORMED;
    if (of_end != FAILURE_NONE && ex->http_status < 400 &&
        (is_cut || of_end == FAILURE_TOO_LARGE))
        set_failure(job, of_end, ex->error);
    if (job->answer.failure == FAILURE_NONE && ex->http_status >= 300)
        set_failure(job, FAILURE_REQUEST, "the server sent a redirect; none is followed");
    if (job->is_simulated && !job->is_marked && job->answer.failure != FAILURE_ABORTED)
        set_failure(job, FAILURE_UNMARKED,
            "the answer does not say that it is simulated (header " SIMULATED_HEADER
            "); is this the address of m4a1 simulate?");
    if (!job->is_simulated && job->is_marked && !job->may_be_marked)
        set_failure(job, FAILURE_MARKED,
            "the answer says that it is simulated (header " SIMULATED_HEADER
            "), but a real server was to be asked: is the llm's \"url\" that of m4a1 "
            "simulate?");
}

void job_read(struct job *job)
{
    struct exchange *ex = &job->exchange;
    const struct key_use *key = &ex->key;
    char mark[8];
    job->is_marked = text_equal(
        wire_header(buffer_str(&ex->headers), SIMULATED_HEADER, mark, sizeof mark), "1");
    scrub_text(job, ex->error);
    if (ex->headers.data)
        key_scrub(key, ex->headers.data, ex->headers.len);
    if (ex->received.data)
        key_scrub(key, ex->received.data, ex->received.len);
    classify(job);
    server_facts_read(buffer_str(&ex->headers), buffer_str(&ex->received),
        ex->received.len, &job->told);
    scrub_answer(job);
    enum status s = job->failed.code;
    if (s == OK && ex->received.len)
        s = payload_pack(
            ex->received.data, ex->received.len, &job->packed_received, &job->failed);
    job->is_read = s == OK;
}
