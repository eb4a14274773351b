/* dataset.c - memory of the data set: building, tidying, the digest, release.
 * Knows no file format and no store. */
#include "export/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/dataset_build.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"

#define SESSION_MAX ((size_t)1 << 30) /* bytes that one session may take in the digest */

void interaction_init(struct interaction *it)
{
    *it =
        (struct interaction) { .llm = -1, .score = NAN, .refused = -1, .latency_s = NAN };
    it->cost_usd = it->probability = NAN;
    for (int i = 0; i < N_TOKENS; i++)
        it->tokens[i] = -1;
}

void interaction_release(struct interaction *it)
{
    free(it->image_index);
    free(it->answer);
    it->image_index = NULL;
    it->answer = NULL;
}

uint32_t interaction_shown(const struct interaction *it)
{
    uint32_t shown = 0;
    for (size_t i = 0; i < it->n_image_index; i++)
        shown |= UINT32_C(1) << it->image_index[i];
    return shown;
}

static void turn_release(struct turn *turn)
{
    free(turn->prompt);
    free(turn->association);
    interaction_release(&turn->path);
    for (size_t i = 0; i < turn->n_fan_out; i++)
        interaction_release(&turn->fan_out[i]);
    free(turn->fan_out);
}

static void session_release(struct session *session, size_t n_views)
{
    free(session->scene);
    if (session->image_paths) {
        for (size_t v = 0; v < n_views; v++)
            free(session->image_paths[v]);
    }
    free(session->image_paths);
    for (size_t t = 0; t < session->n_turns; t++)
        turn_release(&session->turns[t]);
    free(session->turns);
}

void dataset_free(struct dataset *data)
{
    if (!data)
        return;
    for (size_t s = 0; s < data->n_sessions; s++)
        session_release(&data->sessions[s], data->n_views);
    free(data->sessions);
    for (size_t i = 0; data->views && i < data->n_views; i++)
        free(data->views[i]);
    free(data->views);
    free(data->privacy);
    for (size_t i = 0; i < data->n_tasks; i++)
        free(data->tasks[i]);
    free(data->tasks);
    for (size_t i = 0; i < data->n_llms; i++) {
        free(data->llms[i].name);
        free(data->llms[i].provider);
    }
    free(data->llms);
    free(data->by_id);
    free(data->source);
    free(data);
}

enum status dataset_set_views(struct dataset *data, size_t n_views, struct error *err)
{
    data->views = calloc(n_views + 1, sizeof *data->views);
    data->privacy = calloc(n_views + 1, sizeof *data->privacy);
    data->n_views = n_views;
    if (!data->views || !data->privacy)
        return error_nomem(err, n_views * sizeof *data->views);
    for (size_t v = 0; v < n_views; v++) {
        data->privacy[v] = 1;
        data->views[v] = text_format("view_%zu", v);
        if (!data->views[v])
            return error_nomem(err, 16);
    }
    return OK;
}

int dataset_task(struct dataset *data, const char *name)
{
    for (size_t i = 0; i < data->n_tasks; i++) {
        if (strcmp(data->tasks[i], name) == 0)
            return (int)i;
    }
    char **tasks = realloc(data->tasks, (data->n_tasks + 1) * sizeof *tasks);
    if (!tasks)
        return -1;
    data->tasks = tasks;
    tasks[data->n_tasks] = text_copy(name);
    return tasks[data->n_tasks] ? (int)data->n_tasks++ : -1;
}

int dataset_llm_index(struct dataset *data, const char *name, int cloud)
{
    for (size_t i = 0; i < data->n_llms; i++) {
        if (data->llms[i].cloud == cloud && strcmp(data->llms[i].name, name) == 0)
            return (int)i;
    }
    struct dataset_llm *llms = realloc(data->llms, (data->n_llms + 1) * sizeof *llms);
    if (!llms)
        return -1;
    data->llms = llms;
    llms[data->n_llms] = (struct dataset_llm) { .name = text_copy(name), .cloud = cloud };
    return llms[data->n_llms].name ? (int)data->n_llms++ : -1;
}

/* ---- tidying ---- */

/* Calls visit for every interaction, those of the path and of the fan-out. */
static void each_interaction(
    struct dataset *data, void (*visit)(struct interaction *it, void *arg), void *arg)
{
    for (size_t s = 0; s < data->n_sessions; s++) {
        for (size_t t = 0; t < data->sessions[s].n_turns; t++) {
            struct turn *turn = &data->sessions[s].turns[t];
            visit(&turn->path, arg);
            for (size_t f = 0; f < turn->n_fan_out; f++)
                visit(&turn->fan_out[f], arg);
        }
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_llms(const void *a, const void *b)
{
    const struct dataset_llm *x = a, *y = b;
    return x->cloud != y->cloud ? x->cloud - y->cloud : strcmp(x->name, y->name);
}

static enum status tidy_tasks(struct dataset *data, struct error *err)
{
    size_t n = data->n_tasks, kept = 0;
    if (!n)
        return OK;
    int *map = calloc(n, sizeof *map);
    char **old = malloc(n * sizeof *old);
    if (!map || !old) {
        free(map);
        free(old);
        return error_nomem(err, n * sizeof *old);
    }
    for (size_t s = 0; s < data->n_sessions; s++) {
        for (size_t t = 0; t < data->sessions[s].n_turns; t++)
            map[data->sessions[s].turns[t].task] = 1;
    }
    memcpy(old, data->tasks, n * sizeof *old);
    for (size_t i = 0; i < n; i++) {
        if (map[i])
            data->tasks[kept++] = old[i];
    }
    data->n_tasks = kept;
    qsort(data->tasks, kept, sizeof *data->tasks, compare_names);
    for (size_t i = 0; i < n; i++) {
        if (!map[i]) {
            free(old[i]);
            continue;
        }
        char **at = bsearch(&old[i], data->tasks, kept, sizeof *at, compare_names);
        map[i] = (int)(at - data->tasks);
    }
    for (size_t s = 0; s < data->n_sessions; s++) {
        for (size_t t = 0; t < data->sessions[s].n_turns; t++) {
            struct turn *turn = &data->sessions[s].turns[t];
            turn->task = map[turn->task];
        }
    }
    free(map);
    free(old);
    return OK;
}

static void mark_llm(struct interaction *it, void *arg)
{
    ((int *)arg)[it->llm] = 1;
}

static void move_llm(struct interaction *it, void *arg)
{
    it->llm = ((const int *)arg)[it->llm];
}

static enum status tidy_llms(struct dataset *data, struct error *err)
{
    size_t n = data->n_llms, kept = 0;
    int *map = calloc(n + 1, sizeof *map);
    struct dataset_llm *old = calloc(n + 1, sizeof *old);
    struct dataset_llm *llms = realloc(data->llms, (n + 2) * sizeof *llms);
    if (llms)
        data->llms = llms;
    if (!map || !old || !llms) {
        free(map);
        free(old);
        return error_nomem(err, (n + 2) * sizeof *llms);
    }
    each_interaction(data, mark_llm, map);
    memcpy(old, llms, n * sizeof *old);
    int has[2] = { 0, 0 };
    for (size_t i = 0; i < n; i++) {
        if (map[i]) {
            llms[kept++] = old[i];
            has[old[i].cloud] = 1;
        }
    }
    enum status s = OK;
    for (int role = 0; role < 2; role++) {
        if (has[role])
            continue;
        char *name = text_copy(role ? "cloud" : "local");
        if (!name)
            s = error_nomem(err, 6);
        else
            llms[kept++] = (struct dataset_llm) { .name = name, .cloud = role };
    }
    data->n_llms = kept;
    qsort(llms, kept, sizeof *llms, compare_llms);
    for (size_t i = 0; i < n; i++) {
        if (!map[i]) {
            free(old[i].name);
            free(old[i].provider);
            continue;
        }
        struct dataset_llm *at = bsearch(&old[i], llms, kept, sizeof *at, compare_llms);
        map[i] = (int)(at - llms);
    }
    each_interaction(data, move_llm, map);
    free(map);
    free(old);
    return s;
}

static void mark_simulated(struct interaction *it, void *arg)
{
    *(int *)arg |= it->simulated;
}

enum status dataset_tidy(struct dataset *data, struct error *err)
{
    enum status s;
    if ((s = tidy_tasks(data, err)) || (s = tidy_llms(data, err)))
        return s;
    data->simulated = 0;
    each_interaction(data, mark_simulated, &data->simulated);
    return OK;
}

static int is_complete(const struct interaction *it)
{
    return it->answer && !isnan(it->score);
}

static void drop_fan_out(struct turn *turn, struct left_out *out)
{
    size_t kept = 0;
    for (size_t f = 0; f < turn->n_fan_out; f++) {
        if (is_complete(&turn->fan_out[f])) {
            turn->fan_out[kept++] = turn->fan_out[f];
        } else {
            interaction_release(&turn->fan_out[f]);
            out->fan_out++;
        }
    }
    turn->n_fan_out = kept;
}

static void cut_session(struct session *session, struct left_out *out)
{
    size_t n = session->n_turns, kept = 0;
    while (kept < n && is_complete(&session->turns[kept].path))
        drop_fan_out(&session->turns[kept++], out);
    for (size_t t = kept; t < n; t++) {
        const struct interaction *path = &session->turns[t].path;
        if (!path->answer)
            out->turns_unasked++;
        else if (isnan(path->score))
            out->turns_unscored++;
        else
            out->turns_behind++;
        out->fan_out += session->turns[t].n_fan_out;
        turn_release(&session->turns[t]);
    }
    session->n_turns = kept;
}

enum status dataset_drop_incomplete(
    struct dataset *data, struct left_out *out, struct error *err)
{
    *out = (struct left_out) { 0 };
    size_t kept = 0;
    for (size_t s = 0; s < data->n_sessions; s++) {
        struct session *session = &data->sessions[s];
        cut_session(session, out);
        if (session->n_turns) {
            data->sessions[kept++] = *session;
        } else {
            session_release(session, data->n_views);
            out->sessions++;
        }
    }
    data->n_sessions = kept;
    return dataset_tidy(data, err);
}

static int compare_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

void dataset_keep(struct dataset *data, const int64_t *ids, size_t n)
{
    size_t kept = 0;
    for (size_t s = 0; s < data->n_sessions; s++) {
        struct session *session = &data->sessions[s];
        if (bsearch(&session->id, ids, n, sizeof *ids, compare_id))
            data->sessions[kept++] = *session;
        else
            session_release(session, data->n_views);
    }
    data->n_sessions = kept;
}

/* ---- the digest ---- */

static void add_int(struct buffer *b, int64_t x)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)x >> (8 * i));
    buffer_add(b, bytes, sizeof bytes);
}

static void add_double(struct buffer *b, double x)
{
    int64_t bits = INT64_C(0x7ff8000000000000); /* every NaN is the same missing figure */
    if (!isnan(x))
        memcpy(&bits, &x, sizeof bits);
    add_int(b, bits);
}

static void add_text(struct buffer *b, const char *s)
{
    size_t len = s ? strlen(s) : 0;
    add_int(b, s ? (int64_t)len : -1);
    buffer_add(b, s ? s : "", len);
}

static void add_interaction(struct buffer *b, const struct interaction *it)
{
    add_int(b, it->llm);
    add_int(b, it->views_added);
    add_int(b, it->views_context);
    add_int(b, it->image_index ? (int64_t)interaction_shown(it) : -1);
    add_int(b, it->answer != NULL);
    add_double(b, it->score);
    add_int(b, it->refused);
    add_double(b, it->latency_s);
    add_double(b, it->cost_usd);
    add_double(b, it->probability);
    add_int(b, it->simulated);
}

static void add_session(
    struct buffer *b, const struct dataset *data, const struct session *session)
{
    add_int(b, session->id);
    add_text(b, session->scene);
    add_int(b, session->censored);
    add_int(b, (int64_t)session->n_turns);
    for (size_t t = 0; t < session->n_turns; t++) {
        const struct turn *turn = &session->turns[t];
        add_text(b, turn->prompt);
        add_int(b, turn->task);
        add_int(b, turn->association != NULL);
        for (size_t v = 0; turn->association && v < data->n_views; v++)
            add_double(b, turn->association[v]);
        add_interaction(b, &turn->path);
        add_int(b, (int64_t)turn->n_fan_out);
        for (size_t f = 0; f < turn->n_fan_out; f++)
            add_interaction(b, &turn->fan_out[f]);
    }
}

struct id_at {
    int64_t id;
    size_t at;
};

static int compare_ids(const void *a, const void *b)
{
    const struct id_at *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static enum status index_ids(struct dataset *data, struct error *err)
{
    size_t n = data->n_sessions;
    free(data->by_id);
    data->by_id = calloc(n + 1, sizeof *data->by_id);
    struct id_at *ids = calloc(n + 1, sizeof *ids);
    enum status s = OK;
    if (!data->by_id || !ids) {
        s = error_nomem(err, n * sizeof *ids);
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        ids[i] = (struct id_at) { data->sessions[i].id, i };
    qsort(ids, n, sizeof *ids, compare_ids);
    for (size_t i = 0; i < n && !s; i++) {
        data->by_id[i] = ids[i].at;
        if (i && ids[i].id == ids[i - 1].id)
            s = error_set(err, E_DATA,
                "%s: session %lld: this id stands at positions %zu and %zu of the array; "
                "every session needs its own id",
                data->source ? data->source : "data set", (long long)ids[i].id,
                ids[i - 1].at, ids[i].at);
    }
done:
    free(ids);
    return s;
}

/* The digest is taken over a head and the hashes of the sessions, so that memory stays
 * that of the longest session. */
enum status dataset_seal(struct dataset *data, struct error *err)
{
    enum status s = index_ids(data, err);
    if (s)
        return s;
    struct buffer head, one;
    buffer_init(&head, SIZE_MAX / 2);
    buffer_init(&one, SESSION_MAX);
    add_text(&head, "m4a1-dataset-1");
    add_int(&head, (int64_t)data->n_views);
    add_int(&head, (int64_t)data->n_tasks);
    for (size_t i = 0; i < data->n_tasks; i++)
        add_text(&head, data->tasks[i]);
    add_int(&head, (int64_t)data->n_llms);
    for (size_t i = 0; i < data->n_llms; i++) {
        add_text(&head, data->llms[i].name);
        add_int(&head, data->llms[i].cloud);
    }
    add_int(&head, (int64_t)data->n_sessions);
    for (size_t i = 0; i < data->n_sessions && !s; i++) {
        uint8_t hash[HASH_BYTES];
        buffer_clear(&one);
        add_session(&one, data, &data->sessions[i]);
        s = buffer_status(&one, "digest of a session", err);
        hash_bytes(buffer_str(&one), one.len, hash);
        buffer_add(&head, hash, sizeof hash);
    }
    if (!s)
        s = buffer_status(&head, "digest of a data set", err);
    if (!s)
        hash_hex(head.data, head.len, data->digest);
    buffer_release(&one);
    buffer_release(&head);
    return s;
}

const struct session *dataset_session(const struct dataset *data, int64_t id)
{
    size_t low = 0, high = data->by_id ? data->n_sessions : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct session *session = &data->sessions[data->by_id[middle]];
        if (session->id == id)
            return session;
        if (session->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = 0; !data->by_id && i < data->n_sessions; i++) {
        if (data->sessions[i].id == id) // not sealed yet
            return &data->sessions[i];
    }
    return NULL;
}
