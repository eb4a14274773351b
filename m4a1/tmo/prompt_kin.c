/* prompt_kin.c - words of prompts, and cosines over the words that prompts share.
 *
 * Every word of every prompt is one entry (hash of the word, prompt, count).  Sorted by
 * hash, the prompts that share a word lie side by side. */
#include "m4a1/tmo/prompt_kin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t word;
    uint32_t prompt;
    float weight; /* first the count */
};

struct entries {
    struct entry *all; /* owned */
    size_t n, room;
};

static int is_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c >= 0x80;
}

static int by_word(const void *va, const void *vb)
{
    const struct entry *a = va, *b = vb;
    if (a->word != b->word)
        return a->word < b->word ? -1 : 1;
    return a->prompt < b->prompt ? -1 : a->prompt > b->prompt;
}

static int push(struct entries *list, uint64_t word, size_t prompt)
{
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 256;
        struct entry *grown = realloc(list->all, room * sizeof *grown);
        if (!grown)
            return -1;
        list->all = grown;
        list->room = room;
    }
    list->all[list->n++] = (struct entry) { word, (uint32_t)prompt, 1 };
    return 0;
}

/* FNV-1a (Fowler, Noll, Vo) over lower case. */
static int push_words(struct entries *list, const char *text, size_t prompt)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        uint64_t word = UINT64_C(0xcbf29ce484222325);
        const unsigned char *start = s;
        for (; is_word(*s); s++) {
            unsigned char c = *s >= 'A' && *s <= 'Z' ? (unsigned char)(*s + 32) : *s;
            word = (word ^ c) * UINT64_C(0x100000001b3);
        }
        if (s > start && push(list, word, prompt))
            return -1;
        if (*s && !is_word(*s))
            s++;
    }
    return 0;
}

/* Sort, and make one entry of the equal ones of a prompt. */
static void merge_counts(struct entries *list)
{
    size_t kept = 0;
    if (list->n)
        qsort(list->all, list->n, sizeof *list->all, by_word);
    for (size_t i = 0; i < list->n; i++) {
        if (kept && !by_word(&list->all[kept - 1], &list->all[i]))
            list->all[kept - 1].weight += 1;
        else
            list->all[kept++] = list->all[i];
    }
    list->n = kept;
}

static size_t end_of_word(const struct entries *list, size_t i)
{
    size_t end = i + 1;
    while (end < list->n && list->all[end].word == list->all[i].word)
        end++;
    return end;
}

/* Counts become weights, scaled so that each prompt's squares sum to 1. */
static enum status weigh(struct entries *list, size_t n_prompts, struct error *err)
{
    double *squares = calloc(n_prompts ? n_prompts : 1, sizeof *squares);
    if (!squares)
        return error_nomem(err, n_prompts * sizeof *squares);
    for (size_t i = 0, end = 0; i < list->n; i = end) {
        end = end_of_word(list, i);
        double rare = log(1 + (double)n_prompts / (double)(end - i));
        for (size_t j = i; j < end; j++) {
            double weight = list->all[j].weight * rare;
            list->all[j].weight = (float)weight;
            squares[list->all[j].prompt] += weight * weight;
        }
    }
    for (size_t i = 0; i < list->n; i++)
        list->all[i].weight =
            (float)(list->all[i].weight / sqrt(squares[list->all[i].prompt]));
    free(squares);
    return OK;
}

static void keep(struct prompt_kin *kin, size_t prompt, double similarity)
{
    size_t at = kin->n < PROMPT_KIN_MAX ? kin->n++ : PROMPT_KIN_MAX;
    while (at > 0 && (float)similarity > kin->similarity[at - 1]) {
        if (at < PROMPT_KIN_MAX) {
            kin->prompt[at] = kin->prompt[at - 1];
            kin->similarity[at] = kin->similarity[at - 1];
        }
        at--;
    }
    if (at < PROMPT_KIN_MAX) {
        kin->prompt[at] = (uint32_t)prompt;
        kin->similarity[at] = (float)similarity;
    }
}

/* The similarities of one prompt to all, by way of its words. */
static void compare(const struct entries *list, const size_t *of_prompt, size_t n_own,
    double *sums, size_t n_prompts, size_t self, struct prompt_kin *kin)
{
    memset(sums, 0, n_prompts * sizeof *sums);
    for (size_t i = 0; i < n_own; i++) {
        size_t at = of_prompt[i], first = at;
        while (first > 0 && list->all[first - 1].word == list->all[at].word)
            first--;
        for (size_t j = first, end = end_of_word(list, first); j < end; j++)
            sums[list->all[j].prompt] +=
                (double)list->all[at].weight * (double)list->all[j].weight;
    }
    for (size_t p = 0; p < n_prompts; p++)
        if (p != self && sums[p] > 0)
            keep(kin, p, sums[p] < 1 ? sums[p] : 1);
}

static enum status compare_all(
    const struct entries *list, size_t n, struct prompt_kin *kin, struct error *err)
{
    // The entries of each prompt, prompts one after the other.
    size_t *first = calloc(n + 2, sizeof *first);
    size_t *order = malloc((list->n ? list->n : 1) * sizeof *order);
    double *sums = malloc((n ? n : 1) * sizeof *sums);
    enum status s = OK;
    if (!first || !order || !sums) {
        s = error_nomem(err, list->n * sizeof *order);
        goto out;
    }
    for (size_t i = 0; i < list->n; i++)
        first[list->all[i].prompt + 2]++;
    for (size_t p = 0; p < n; p++)
        first[p + 2] += first[p + 1];
    for (size_t i = 0; i < list->n; i++)
        order[first[list->all[i].prompt + 1]++] = i;
    for (size_t p = 0; p < n; p++)
        compare(list, order + first[p], first[p + 1] - first[p], sums, n, p, &kin[p]);
out:
    free(first);
    free(order);
    free(sums);
    return s;
}

enum status prompt_kin_build(
    const char *const *texts, size_t n, struct prompt_kin **out, struct error *err)
{
    *out = NULL;
    struct entries list = { 0 };
    struct prompt_kin *kin = calloc(n ? n : 1, sizeof *kin);
    enum status s = kin ? OK : error_nomem(err, n * sizeof *kin);
    for (size_t p = 0; !s && p < n; p++)
        if (push_words(&list, texts[p], p))
            s = error_nomem(err, 2 * list.room * sizeof *list.all);
    if (!s) {
        merge_counts(&list);
        s = weigh(&list, n, err);
    }
    if (!s)
        s = compare_all(&list, n, kin, err);
    free(list.all);
    if (s)
        free(kin);
    else
        *out = kin;
    return s;
}
