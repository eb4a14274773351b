/* scored_case.c - makes a data set of the right shape once, then redraws what it says. */
#include "tests/support/scored_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "tests/support/tmo_data.h"

#define TEXT_MAX ((size_t)256 << 20)

static void add_turn(struct buffer *b, size_t i, size_t t, size_t n_prompts,
    const char *const *texts, int fan_out)
{
    // Every prompt and both tasks appear in this order, whatever is drawn later.
    size_t prompt = (i * SCORED_TURNS + t) % n_prompts;
    buffer_add_str(b, t ? ", {\"question\": \"" : "{\"question\": \"");
    if (texts)
        buffer_add_str(b, texts[prompt]);
    else
        buffer_printf(b, "p%zu", prompt);
    buffer_printf(b,
        "\", \"task_cat\": \"%c\", \"action\": %d, \"answer\": \"yes\", \"score\": 1, "
        "\"interaction_time\": 1, \"usage_cost\": 0, \"image_index\": null",
        (char)('a' + (int)(prompt % 2)), (int)(t % 2));
    if (fan_out)
        buffer_printf(b,
            ", \"fan_out\": [{\"action\": %d, \"answer\": \"yes\", \"score\": 1, "
            "\"interaction_time\": 1, \"usage_cost\": 0, \"image_index\": null}]",
            (int)(1 - t % 2));
    buffer_add_char(b, '}');
}

void scored_make(struct scored_case *c, size_t n_sessions, size_t n_prompts,
    const char *const *texts, int fan_out)
{
    struct buffer b;
    struct error err = ERROR_INIT;
    memset(c, 0, sizeof *c);
    c->n_prompts = n_prompts;
    buffer_init(&b, TEXT_MAX);
    for (size_t i = 0; i < n_sessions; i++) {
        buffer_printf(&b,
            "%s{\"id\": %zu, \"image_paths\": "
            "[\"Scenario_%zu_Modality_0_Activity_0.jpg\", "
            "\"Scenario_%zu_Modality_1_Activity_0.jpg\"], \"interactions\": [",
            i ? ", " : "[", i, i / 2, i / 2);
        for (size_t t = 0; t < SCORED_TURNS; t++)
            add_turn(&b, i, t, n_prompts, texts, fan_out);
        buffer_add_str(&b, "], \"association_score\": [[0.1, 0.2], [0.1, 0.2], [0.1, "
                           "0.2], [0.1, 0.2]]}");
    }
    buffer_add_char(&b, ']');
    c->data = text_dataset(buffer_str(&b));
    buffer_release(&b);
    struct recorded_settings set = recorded_published(0, 1, 2);
    set.as_published = !fan_out;
    c->sessions = malloc(n_sessions * sizeof *c->sessions);
    if (!c->sessions || recorded_build(c->data, &set, &c->rec, &err)) {
        fprintf(stderr, "scored_case: %s\n", err.msg);
        exit(1);
    }
    for (size_t i = 0; i < n_sessions; i++)
        c->sessions[i] = i;
}

void scored_release(struct scored_case *c)
{
    recorded_free(c->rec);
    dataset_free(c->data);
    free(c->sessions);
}

double scored_mean(const struct scored_case *c, size_t row)
{
    const struct recorded *rec = c->rec;
    const struct recorded_row *r = &rec->rows[row];
    const struct space_action *act = &rec->space.actions[r->action];
    uint32_t held = rec->contexts[r->turn] | act->views;
    return c->truth[rec->prompts[r->turn]][rec->space.cloud[act->llm] ? 1 : 0] +
           c->view * (double)space_count(held);
}

/* Prompts and contexts of all turns; path actions follow M4A1's rule. */
static void draw_turns(struct scored_case *c, struct rng *rng)
{
    struct recorded *rec = c->rec;
    size_t at = 0;
    for (size_t i = 0; i < rec->n_sessions; i++) {
        const struct recorded_session *session = &rec->sessions[i];
        uint32_t held = 0;
        for (size_t t = session->first; t < session->first + session->n_turns;
             t++, at++) {
            int cloud = (int)rng_below(rng, 2);
            uint32_t views = cloud ? (uint32_t)rng_below(rng, 4) : 0;
            rec->prompts[t] = rng_below(rng, c->n_prompts);
            rec->tasks[t] = (int)(rec->prompts[t] % 2);
            rec->contexts[t] = held;
            held |= views;
            rec->rows[at].action = (int)space_find(&rec->space, cloud ? 1 : 0, views);
        }
    }
    // Beside the path: the other llm, without views.
    for (size_t i = rec->n_path_rows; i < rec->n_rows; i++) {
        size_t turn = rec->rows[i].turn, path = 0;
        for (path = 0; rec->rows[path].turn != turn; path++)
            ;
        size_t llm = rec->space.actions[rec->rows[path].action].llm;
        rec->rows[i].action = (int)space_find(&rec->space, 1 - llm, 0);
    }
}

void scored_draw(struct scored_case *c, double effect_sd, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, "scored_case", 0);
    for (size_t p = 0; p < c->n_prompts; p++)
        for (size_t cloud = 0; cloud < 2; cloud++)
            c->truth[p][cloud] = 1 + effect_sd * rng_normal(&rng);
    draw_turns(c, &rng);
    double shared = 0;
    size_t session = SIZE_MAX;
    for (size_t i = 0; i < c->rec->n_rows; i++) {
        size_t of = recorded_session_of(c->rec, c->rec->rows[i].turn);
        if (of != session)
            shared = c->session_sd * rng_normal(&rng);
        session = of;
        c->rec->rows[i].score =
            scored_mean(c, i) + shared + c->noise_sd * rng_normal(&rng);
    }
}
