/* pace.c - see pace.h. */
#include "collectors/pace.h"

#include <string.h>

#define MINUTE_NS 60e9

const struct pace_rules pace_rules_default = {
    .breaker_after = 5,
    .breaker_pause_ns = INT64_C(2000000000),
    .breaker_longest_ns = INT64_C(60000000000),
    .give_up_after = 5,
    .give_up_later = 30,
};

void pace_init(struct pace *p, const struct pace_rules *rules, int slots, int64_t rpm,
    int64_t tpm, int64_t now_ns)
{
    memset(p, 0, sizeof *p);
    p->rules = rules;
    p->slots = p->least = slots > 0 ? slots : 1;
    p->allowed = p->slots;
    p->halved_ns = INT64_MIN;
    p->filled_ns = p->paused_until_ns = now_ns;
    if (rpm > 0) {
        p->request_rate = (double)rpm / MINUTE_NS;
        p->request_size = rpm > 60 ? (double)rpm / 60 : 1;
        p->requests = p->request_size;
    }
    if (tpm > 0) {
        p->token_rate = (double)tpm / MINUTE_NS;
        p->token_size = p->tokens = (double)tpm;
    }
}

static void refill(struct pace *p, int64_t now_ns)
{
    double passed = (double)(now_ns - p->filled_ns);
    p->filled_ns = now_ns;
    p->requests += passed * p->request_rate;
    if (p->requests > p->request_size)
        p->requests = p->request_size;
    p->tokens += passed * p->token_rate;
    if (p->tokens > p->token_size)
        p->tokens = p->token_size;
}

/* Until the bucket holds n; one that is asked for more than it can hold has to be full. */
static int64_t bucket_wait_ns(double held, double rate, double size, double n)
{
    if (size <= 0)
        return 0;
    if (n > size)
        n = size;
    return held >= n ? 0 : (int64_t)((n - held) / rate) + 1;
}

int pace_allowed(const struct pace *p)
{
    return (int)p->allowed;
}

static void adapt(struct pace *p, enum pace_outcome outcome, int64_t sent_ns, int64_t now)
{
    if (outcome == PACE_ANSWERED && p->allowed < p->slots) {
        p->allowed += 1 / p->allowed;
        if (p->allowed > p->slots)
            p->allowed = p->slots;
    }
    // Calls that left before the last halving tell nothing about what is allowed since.
    if (outcome != PACE_LIMITED || sent_ns < p->halved_ns)
        return;
    p->allowed = p->allowed / 2 > 1 ? p->allowed / 2 : 1;
    p->halved_ns = now;
    if (pace_allowed(p) < p->least)
        p->least = pace_allowed(p);
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t pace_wait_ns(struct pace *p, int64_t n_tokens, int64_t now_ns)
{
    // After a pause one call goes ahead alone, to see whether the server is back.
    int slots = p->n_pauses ? 1 : pace_allowed(p);
    if (p->n_in_flight >= slots)
        return PACE_LATER;
    refill(p, now_ns);
    int64_t wait = longer(p->paused_until_ns - now_ns, 0);
    wait = longer(wait, bucket_wait_ns(p->requests, p->request_rate, p->request_size, 1));
    return longer(
        wait, bucket_wait_ns(p->tokens, p->token_rate, p->token_size, (double)n_tokens));
}

void pace_sent(struct pace *p, int64_t n_tokens, int64_t now_ns)
{
    refill(p, now_ns);
    p->n_in_flight++;
    if (p->request_size > 0)
        p->requests -= 1;
    if (p->token_size > 0)
        p->tokens -= (double)n_tokens;
}

static void pause(struct pace *p, int64_t until_ns)
{
    p->paused_until_ns = longer(p->paused_until_ns, until_ns);
}

static void count_broken(struct pace *p, int64_t now_ns)
{
    const struct pace_rules *rules = p->rules;
    p->n_bad++;
    if (!rules->breaker_after || p->n_bad < rules->breaker_after)
        return;
    // Calls that were in flight when the pause began do not make it longer.
    if (p->n_pauses && p->paused_until_ns > now_ns)
        return;
    int64_t length = rules->breaker_pause_ns;
    for (int i = 0; i < p->n_pauses && length < rules->breaker_longest_ns; i++)
        length *= 2;
    if (length > rules->breaker_longest_ns)
        length = rules->breaker_longest_ns;
    p->n_pauses++;
    pause(p, now_ns + length);
}

void pace_done(struct pace *p, enum pace_outcome outcome, int64_t sent_ns,
    int64_t n_tokens, int64_t n_used, int64_t asked_ns, int64_t now_ns)
{
    refill(p, now_ns);
    p->n_in_flight--;
    adapt(p, outcome, sent_ns, now_ns);
    if (p->token_size > 0 && n_used >= 0)
        p->tokens += (double)(n_tokens - n_used);
    if (outcome == PACE_NEUTRAL)
        return;
    if (outcome == PACE_BROKEN) {
        count_broken(p, now_ns);
        return;
    }
    p->has_answered = 1;
    p->n_bad = p->n_pauses = 0;
    p->n_limited = outcome == PACE_LIMITED ? p->n_limited + 1 : 0;
    if (asked_ns > 0 && (outcome == PACE_ANSWERED || p->n_limited > 1))
        pause(p, now_ns + asked_ns);
}

int pace_is_given_up(const struct pace *p)
{
    int most = p->rules->give_up_after;
    if (p->has_answered && p->rules->give_up_later)
        most = p->rules->give_up_later;
    return most > 0 && p->n_pauses >= most;
}
