/* sim_count.c - counters, and a hash table of how often a request was seen. */
#include "m4a1/simulate/sim_count.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

struct tally {
    int64_t seen, answered, in_flight, peak_in_flight;
    int64_t prompt_tokens, completion_tokens;
    int64_t answer_ns; /* of answers, at time scale 1 */
    int64_t texts, images, sounds;
};

struct slot {
    uint64_t key; /* the first 64 bits of the identity; 0 = empty */
    uint64_t times;
};

struct sim_count {
    pthread_mutex_t lock;
    const struct recipe *recipe;
    struct tally all;
    struct tally *llms; /* [recipe->n_llms]; a model counts at its first llm */
    int64_t invalid, faulted, abandoned, refusals;
    int64_t faults[N_FAULTS];
    struct slot *slots; /* open addressing, size a power of two */
    size_t n_slots, size_slots;
    int64_t seen_again; /* distinct requests seen more than once */
};

enum status count_new(
    const struct recipe *recipe, struct sim_count **out, struct error *err)
{
    *out = NULL;
    struct sim_count *count = calloc(1, sizeof *count);
    if (!count)
        return error_nomem(err, sizeof *count);
    pthread_mutex_init(&count->lock, NULL);
    count->recipe = recipe;
    count->size_slots = 1024;
    count->slots = calloc(count->size_slots, sizeof *count->slots);
    count->llms = calloc(recipe->n_llms + 1, sizeof *count->llms);
    if (!count->slots || !count->llms) {
        count_free(count);
        return error_nomem(err, 1024 * sizeof(struct slot));
    }
    *out = count;
    return OK;
}

void count_free(struct sim_count *count)
{
    if (!count)
        return;
    pthread_mutex_destroy(&count->lock);
    free(count->slots);
    free(count->llms);
    free(count);
}

/* --- notes: kind in the lowest 3 bits, fault in the next 5, 1 + llm above --- */

static size_t note_llm(const void *note) /* 0 = none */
{
    return (size_t)((uintptr_t)note >> 8);
}

static size_t llm_of_model(const struct recipe *recipe, const char *model)
{
    for (size_t i = 0; model && i < recipe->n_llms; i++)
        if (text_equal(recipe->llms[i].model, model))
            return i + 1;
    return 0;
}

static void tally_begin(struct tally *tally)
{
    tally->seen++;
    if (++tally->in_flight > tally->peak_in_flight)
        tally->peak_in_flight = tally->in_flight;
}

void *count_begin(struct sim_count *count, const char *model)
{
    size_t llm = llm_of_model(count->recipe, model);
    pthread_mutex_lock(&count->lock);
    tally_begin(&count->all);
    if (llm)
        tally_begin(&count->llms[llm - 1]);
    pthread_mutex_unlock(&count->lock);
    return (void *)((uintptr_t)llm << 8 | COUNT_INVALID);
}

void *count_note(void *note, enum count_kind kind, enum sim_fault fault)
{
    return (
        void *)((uintptr_t)note_llm(note) << 8 | (uintptr_t)fault << 3 | (uintptr_t)kind);
}

void count_done(struct sim_count *count, void *note, enum http_outcome outcome)
{
    enum count_kind kind = (enum count_kind)((uintptr_t)note & 7);
    enum sim_fault fault = (enum sim_fault)((uintptr_t)note >> 3 & 31);
    size_t llm = note_llm(note);
    if (!note)
        return;
    pthread_mutex_lock(&count->lock);
    int answered = kind == COUNT_ANSWER || kind == COUNT_REFUSAL;
    count->all.in_flight--;
    if (llm)
        count->llms[llm - 1].in_flight--;
    if (outcome == HTTP_GONE || outcome == HTTP_STOPPED) {
        count->abandoned++;
    } else if (answered) {
        count->all.answered++;
        if (llm)
            count->llms[llm - 1].answered++;
        count->refusals += kind == COUNT_REFUSAL;
        count->faults[fault]++;
    } else if (kind == COUNT_FAULT) {
        count->faulted++;
        count->faults[fault]++;
    } else {
        count->invalid++;
    }
    pthread_mutex_unlock(&count->lock);
}

static void tally_bill(struct tally *tally, const struct sim_bill *bill)
{
    tally->prompt_tokens += bill->prompt_tokens;
    tally->completion_tokens += bill->completion_tokens;
    tally->answer_ns += bill->answer_ns;
    tally->texts += bill->texts;
    tally->images += bill->images;
    tally->sounds += bill->sounds;
}

void count_bill(struct sim_count *count, void *note, const struct sim_bill *bill)
{
    size_t llm = note_llm(note);
    pthread_mutex_lock(&count->lock);
    tally_bill(&count->all, bill);
    if (llm)
        tally_bill(&count->llms[llm - 1], bill);
    pthread_mutex_unlock(&count->lock);
}

/* --- how often a request was seen --- */

static struct slot *slot_find(struct slot *slots, size_t size, uint64_t key)
{
    size_t i = (size_t)key & (size - 1);
    while (slots[i].key && slots[i].key != key)
        i = (i + 1) & (size - 1);
    return &slots[i];
}

/* Keep the table at most half full; 0 where that is not possible. */
static int slots_grow(struct sim_count *count)
{
    if (count->n_slots * 2 < count->size_slots)
        return 1;
    if (count->n_slots >= COUNT_MAX_DISTINCT)
        return 0;
    size_t size = count->size_slots * 2;
    struct slot *slots = calloc(size, sizeof *slots);
    if (!slots)
        return 0;
    for (size_t i = 0; i < count->size_slots; i++)
        if (count->slots[i].key)
            *slot_find(slots, size, count->slots[i].key) = count->slots[i];
    free(count->slots);
    count->slots = slots;
    count->size_slots = size;
    return 1;
}

uint64_t count_seen(struct sim_count *count, const char *identity)
{
    /* 64 of the 256 bits: among a million requests two agree with p = 3e-8. */
    char head[17];
    memcpy(head, identity, 16);
    head[16] = '\0';
    uint64_t key = strtoull(head, NULL, 16) | 1, times = 1;
    pthread_mutex_lock(&count->lock);
    int room = slots_grow(count);
    struct slot *slot = slot_find(count->slots, count->size_slots, key);
    if (slot->key) {
        times = ++slot->times;
        count->seen_again += times == 2;
    } else if (room) {
        *slot = (struct slot) { key, 1 };
        count->n_slots++;
    }
    pthread_mutex_unlock(&count->lock);
    return times;
}

/* --- the report --- */

static void tally_json(const struct tally *tally, struct json *object)
{
    json_set_int(object, "seen", tally->seen);
    json_set_int(object, "answered", tally->answered);
    json_set_int(object, "in_flight", tally->in_flight);
    json_set_int(object, "peak_in_flight", tally->peak_in_flight);
    json_set_int(object, "prompt_tokens", tally->prompt_tokens);
    json_set_int(object, "completion_tokens", tally->completion_tokens);
    json_set_number(object, "answer_s", (double)tally->answer_ns / 1e9);
    json_set_int(object, "texts", tally->texts);
    json_set_int(object, "images", tally->images);
    json_set_int(object, "sounds", tally->sounds);
}

static void models_json(const struct sim_count *count, struct json *object)
{
    const struct recipe *recipe = count->recipe;
    for (size_t i = 0; i < recipe->n_llms; i++) {
        const char *model = recipe->llms[i].model;
        if (llm_of_model(recipe, model) == i + 1)
            tally_json(&count->llms[i], json_set_object(object, model));
    }
}

void count_json(struct sim_count *count, struct json *object)
{
    struct json *requests = json_set_object(object, "requests");
    pthread_mutex_lock(&count->lock);
    tally_json(&count->all, requests);
    json_set_int(requests, "invalid", count->invalid);
    json_set_int(requests, "faulted", count->faulted);
    json_set_int(requests, "abandoned", count->abandoned);
    json_set_int(requests, "distinct", (int64_t)count->n_slots);
    json_set_int(requests, "seen_again", count->seen_again);
    struct json *faults = json_set_object(object, "faults");
    for (size_t i = 1; i < N_FAULTS; i++)
        json_set_int(faults, sim_fault_names[i], count->faults[i]);
    json_set_int(object, "refusals", count->refusals);
    models_json(count, json_set_object(object, "models"));
    pthread_mutex_unlock(&count->lock);
}
