/* fit.c - which pictures are too large for whom; workers make them smaller, the calling
 * thread stores. */
#include "collectors/fit.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/llm/protocol.h"
#include "collectors/source/picture.h"
#include "collectors/source/resample.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/pool.h"
#include "m4a1/base/text.h"
#include "schema/accepts.h"
#include "schema/query.h"

#define BATCH 16 /* pictures in memory at once */
#define MAX_COMPLAINTS 4096
#define ENOUGH_COMPLAINTS 450 /* so that an error has room for what to do */
#define LEAST_PX 16           /* nothing is seen in a smaller picture */

struct fit_limits fit_limits_of(const struct llm *llm)
{
    const struct protocol *p = protocol_find(llm->protocol);
    struct fit_limits limits = { llm->max_image_px, llm->max_image_bytes };
    if (!limits.max_px && p)
        limits.max_px = p->max_image_px;
    if (!limits.max_bytes && p)
        limits.max_bytes = p->max_image_bytes;
    return limits;
}

/* ---- one picture ---------------------------------------------------------------- */

/* The picture at this size and falling quality; *done where one has few enough bytes. */
static enum status try_qualities(const struct picture *p, int longest_px,
    int64_t max_bytes, struct buffer *out, int *width, int *height, int *done,
    struct error *err)
{
    static const int qualities[] = { 90, 80, 70, 60, 50 };
    struct picture small = { 0 };
    picture_fit(p->width, p->height, longest_px, width, height);
    enum status s = picture_resample(p, *width, *height, &small, err);
    for (size_t i = 0; s == OK && !*done && i < COUNT_OF(qualities); i++) {
        buffer_clear(out);
        s = picture_encode_jpeg(&small, qualities[i], out, err);
        *done = s == OK && (!max_bytes || out->len <= (size_t)max_bytes);
    }
    picture_release(&small);
    return s;
}

enum status fit_jpeg(const void *bytes, size_t len, struct fit_limits limits,
    struct buffer *out, int *width, int *height, struct error *err)
{
    struct picture p = { 0 };
    int done = 0;
    enum status s = picture_decode(bytes, len, 0, &p, err);
    int side = p.width > p.height ? p.width : p.height;
    if (limits.max_px && side > limits.max_px)
        side = (int)limits.max_px;
    for (int is_last = 0; s == OK && !done && !is_last; side = side * 4 / 5) {
        is_last = side * 4 / 5 < LEAST_PX;
        s = try_qualities(&p, side, limits.max_bytes, out, width, height, &done, err);
    }
    picture_release(&p);
    if (s == OK && !done)
        s = error_set(err, E_ARG,
            "even the smallest picture has more than %lld bytes; raise \"image_bytes\"",
            (long long)limits.max_bytes);
    return s;
}

/* ---- which are too large -------------------------------------------------------- */

struct task {
    int64_t frame_id;
    struct fit_limits limits;
    /* while it is made */
    char *bytes;
    size_t len;
    struct buffer jpeg;
    int width, height;
    struct error err;
};

struct fitting {
    struct store *store;
    const struct fit_run *run;
    struct accepts_store views;
    struct task *tasks;
    size_t n_tasks, size;
    struct buffer refused; /* what is too large, by llm */
    int n_unnamed;         /* llms that it has no room for */
    struct error *err;
};

/* Columns of the query below. */
enum { FRAME, WIDTH, HEIGHT, BYTES, POSITION, SCENE, AT, PURPOSE, FITTED };

/* Each picture above the limits that an open call of the llm may send, by purpose.  What
 * a call may send: all views in context where earlier ones are sent again, else those
 * that it adds. */
static const char sql_too_large[] =
    "SELECT DISTINCT f.frame_id, r.width_px, r.height_px, length(r.bytes), v.position,"
    " n.name, f.at_ms, o.purpose, x.fitted_id"
    " FROM (SELECT DISTINCT e.scene_id, e.at_ms, c.purpose, CASE WHEN c.text IS NULL AND"
    "   coalesce(p.settings ->> '$.history.images', 'keep') = 'keep'"
    "   THEN c.views_context ELSE c.views_added END AS views"
    "  FROM call c JOIN turn t USING (turn_id) JOIN session e USING (session_id)"
    "  LEFT JOIN plan p USING (plan_id) WHERE c.llm_id = ?1"
    "  AND NOT EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id)"
    "  AND (?2 OR NOT EXISTS (SELECT 1 FROM attempt a"
    "   WHERE a.call_id = c.call_id AND a.final))) o"
    " JOIN scene_frame f ON f.scene_id = o.scene_id AND f.at_ms = o.at_ms"
    " JOIN view v ON v.view_id = f.view_id AND o.views >> v.position & 1"
    " JOIN frame r ON r.frame_id = f.frame_id JOIN scene n ON n.scene_id = f.scene_id"
    " LEFT JOIN frame_fit x ON x.frame_id = f.frame_id AND x.max_px = ?3"
    "  AND x.max_bytes = ?4"
    " WHERE v.kind IN ('image', 'video') AND ((?3 AND max(r.width_px, r.height_px) > ?3)"
    "  OR (?4 AND length(r.bytes) > ?4)) ORDER BY n.name, f.at_ms, v.position, f.part";

static void say_limits(struct buffer *out, const struct llm *llm)
{
    struct fit_limits limits = fit_limits_of(llm);
    if (limits.max_px)
        buffer_printf(out, "%lld px", (long long)limits.max_px);
    if (limits.max_bytes)
        buffer_printf(out, "%s%lld bytes", limits.max_px ? " and " : "",
            (long long)limits.max_bytes);
    if (!llm->max_image_px && !llm->max_image_bytes)
        buffer_printf(out, " (what is published for %s)", llm->protocol);
}

/* The first picture that an llm may not be sent; the others are counted. */
static void refuse(
    struct fitting *f, const struct llm *llm, const struct query *q, const char *view)
{
    buffer_printf(&f->refused, "%sllm %s takes pictures of at most ",
        f->refused.len ? "; " : "", llm->name);
    say_limits(&f->refused, llm);
    buffer_printf(&f->refused,
        ", but view %s of scene %s at %g s has %lld x %lld px and %lld bytes", view,
        query_text(q, SCENE), (double)query_int(q, AT) / 1000,
        (long long)query_int(q, WIDTH), (long long)query_int(q, HEIGHT),
        (long long)query_int(q, BYTES));
}

static enum status add_task(
    struct fitting *f, int64_t frame_id, struct fit_limits limits, struct error *err)
{
    if (f->n_tasks == f->size) {
        size_t size = f->size ? 2 * f->size : 64;
        struct task *more = realloc(f->tasks, size * sizeof *more);
        if (!more)
            return error_nomem(err, size * sizeof *more);
        f->tasks = more;
        f->size = size;
    }
    f->tasks[f->n_tasks++] = (struct task) { .frame_id = frame_id, .limits = limits };
    return OK;
}

static int by_frame(const void *a, const void *b)
{
    const struct task *x = a, *y = b;
    if (x->frame_id != y->frame_id)
        return x->frame_id < y->frame_id ? -1 : 1;
    if (x->limits.max_px != y->limits.max_px)
        return x->limits.max_px < y->limits.max_px ? -1 : 1;
    return (x->limits.max_bytes > y->limits.max_bytes) -
           (x->limits.max_bytes < y->limits.max_bytes);
}

/* Scenes, purposes and llms may have a picture and its limits in common. */
static void drop_doubles(struct fitting *f)
{
    size_t n = 0;
    if (f->n_tasks)
        qsort(f->tasks, f->n_tasks, sizeof *f->tasks, by_frame);
    for (size_t i = 0; i < f->n_tasks; i++)
        if (!n || by_frame(&f->tasks[i], &f->tasks[n - 1]) != 0)
            f->tasks[n++] = f->tasks[i];
    f->n_tasks = n;
}

static enum status look_at_llm(struct fitting *f, const struct llm *llm)
{
    struct fit_limits limits = fit_limits_of(llm);
    struct query *q = NULL;
    int64_t any = 0, n_refused = 0;
    if (!limits.max_px && !limits.max_bytes)
        return OK;
    enum status s = store_int(f->store, 0, &any, f->err,
        "SELECT EXISTS (SELECT 1 FROM frame WHERE (?1 AND max(width_px, height_px) > ?1)"
        " OR (?2 AND width_px AND length(bytes) > ?2))",
        "ii", limits.max_px, limits.max_bytes);
    if (s != OK || !any)
        return s;
    s = query_open(f->store, sql_too_large, &q, f->err);
    if (s != OK)
        return s;
    query_bind(q, "iiii", llm->llm_id, (int64_t)f->run->scope->with_failed, limits.max_px,
        limits.max_bytes);
    while ((s = query_next(q, f->err)) == OK && query_has_row(q)) {
        int64_t position = query_int(q, POSITION);
        if (!ready_in_scope(f->run->scope, query_text(q, PURPOSE), llm->llm_id) ||
            !accepts_sent(llm->accepts, f->views.views, UINT32_C(1) << position))
            continue;
        if (!llm->resizes_images && f->refused.len > ENOUGH_COMPLAINTS) {
            f->n_unnamed++;
            break;
        }
        if (!llm->resizes_images && !n_refused++)
            refuse(f, llm, q, f->views.views[position].name);
        else if (llm->resizes_images && query_is_null(q, FITTED))
            s = add_task(f, query_int(q, FRAME), limits, f->err);
        if (s != OK)
            break;
    }
    query_close(q);
    if (n_refused > 1)
        buffer_printf(
            &f->refused, ", and %lld more are too large", (long long)(n_refused - 1));
    return s;
}

static enum status look(struct fitting *f)
{
    enum status s = accepts_load(f->store, &f->views, f->err);
    for (size_t i = 0; s == OK && i < f->run->n_llms; i++)
        if (!f->run->used || f->run->used[i])
            s = look_at_llm(f, &f->run->llms[i]);
    drop_doubles(f);
    if (f->n_unnamed)
        buffer_printf(&f->refused, "; and so with %d more llms", f->n_unnamed);
    if (s == OK && f->refused.len)
        s = error_set(f->err, E_ARG,
            "%s. Say \"too_large\": \"resize\" in the llm's \"accepts\" (under a new "
            "name "
            "where calls are planned for it: it then sees other pictures), or raise "
            "\"image_px\" and \"image_bytes\" where its server takes more",
            buffer_str(&f->refused));
    return s;
}

/* ---- making them ---------------------------------------------------------------- */

static enum status read_bytes(struct fitting *f, struct task *task)
{
    struct query *q = NULL;
    enum status s =
        query_open(f->store, "SELECT bytes FROM frame WHERE frame_id = ?", &q, f->err);
    if (s != OK)
        return s;
    query_bind(q, "i", task->frame_id);
    s = query_next(q, f->err);
    if (s == OK && !query_has_row(q))
        s = error_set(f->err, E_NOT_FOUND, "the store has no frame %lld; run m4a1 check",
            (long long)task->frame_id);
    if (s == OK) {
        const void *bytes = query_bytes(q, 0, &task->len);
        task->bytes = malloc(task->len ? task->len : 1);
        if (task->bytes && task->len)
            memcpy(task->bytes, bytes, task->len);
        s = task->bytes ? OK : error_nomem(f->err, task->len);
    }
    query_close(q);
    return s;
}

static void make(void *arg)
{
    struct task *task = arg;
    buffer_init(&task->jpeg, PICTURE_MAX_FILE_BYTES);
    if (fit_jpeg(task->bytes, task->len, task->limits, &task->jpeg, &task->width,
            &task->height, &task->err) != OK)
        error_prefix(&task->err,
            "frame %lld for pictures of at most %lld px: ", (long long)task->frame_id,
            (long long)task->limits.max_px);
}

static enum status keep(struct fitting *f, const struct task *task)
{
    char sha256[HASH_HEX];
    hash_hex(task->jpeg.data, task->jpeg.len, sha256);
    enum status s = store_run(f->store, f->err,
        "INSERT INTO frame (sha256, media_type, width_px, height_px, bytes)"
        " VALUES (?, 'image/jpeg', ?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
        "tiib", sha256, (int64_t)task->width, (int64_t)task->height,
        (const void *)task->jpeg.data, task->jpeg.len);
    if (s == OK)
        s = store_run(f->store, f->err,
            "INSERT INTO frame_fit (frame_id, max_px, max_bytes, fitted_id)"
            " SELECT ?, ?, ?, frame_id FROM frame WHERE sha256 = ?",
            "iiit", task->frame_id, task->limits.max_px, task->limits.max_bytes, sha256);
    return s;
}

static enum status keep_batch(struct fitting *f, const struct task *tasks, size_t n)
{
    enum status s = store_begin(f->store, f->err);
    if (s != OK)
        return s;
    for (size_t i = 0; s == OK && i < n; i++)
        s = tasks[i].err.code ? error_set(f->err, tasks[i].err.code,
                                    "nothing was sent: %s", tasks[i].err.msg)
                              : keep(f, &tasks[i]);
    if (s == OK)
        s = store_commit(f->store, f->err);
    if (s != OK)
        store_rollback(f->store);
    return s;
}

static enum status run_batch(
    struct fitting *f, struct pool *pool, struct task *tasks, size_t n)
{
    enum status s = OK;
    size_t n_begun = 0;
    while (s == OK && n_begun < n) {
        s = read_bytes(f, &tasks[n_begun]);
        if (s == OK)
            s = pool_submit(pool, make, &tasks[n_begun], f->err);
        n_begun++;
    }
    pool_wait(pool);
    if (s == OK)
        s = keep_batch(f, tasks, n);
    for (size_t i = 0; i < n_begun; i++) {
        free(tasks[i].bytes);
        buffer_release(&tasks[i].jpeg);
    }
    return s;
}

static enum status make_all(struct fitting *f)
{
    struct progress *progress = f->run->progress;
    struct pool *pool = NULL;
    if (!f->n_tasks)
        return OK;
    progress_total(progress, (int64_t)f->n_tasks);
    enum status s = pool_new(0, &pool, f->err);
    for (size_t i = 0; s == OK && i < f->n_tasks; i += BATCH) {
        size_t n = f->n_tasks - i < BATCH ? f->n_tasks - i : BATCH;
        if (f->run->interrupted && *f->run->interrupted)
            s = error_set(f->err, E_INTERRUPTED,
                "interrupted after %zu of %zu pictures were made smaller; nothing was "
                "sent; run it again to go on",
                i, f->n_tasks);
        else
            s = run_batch(f, pool, &f->tasks[i], n);
        progress_step(progress, (int64_t)n, "making pictures smaller");
    }
    pool_free(pool);
    // What is counted next begins at 0.
    progress_step(progress, -(int64_t)f->n_tasks, NULL);
    return s;
}

static void release(struct fitting *f)
{
    free(f->tasks);
    accepts_release(&f->views);
    buffer_release(&f->refused);
}

enum status fit_pictures(
    struct store *store, const struct fit_run *run, struct error *err)
{
    struct fitting f = { .store = store, .run = run, .err = err };
    buffer_init(&f.refused, MAX_COMPLAINTS);
    enum status s = look(&f);
    if (s == E_ARG)
        s = error_prefix(err, "nothing was sent: ");
    else if (s == OK)
        s = make_all(&f);
    release(&f);
    return s;
}

enum status fit_check(
    struct store *store, const struct llm *llms, size_t n_llms, struct error *err)
{
    static const struct ready_rules scope = { 0 };
    const struct fit_run run = { .scope = &scope, .llms = llms, .n_llms = n_llms };
    struct fitting f = { .store = store, .run = &run, .err = err };
    buffer_init(&f.refused, MAX_COMPLAINTS);
    enum status s = look(&f);
    if (s == E_ARG)
        s = error_prefix(err, "nothing was planned: ");
    release(&f);
    return s;
}

/* ---- what is sent --------------------------------------------------------------- */

enum status fit_lookup(struct store *store, const struct llm *llm, int64_t frame_id,
    int64_t *sent_id, struct error *err)
{
    struct fit_limits limits = fit_limits_of(llm);
    *sent_id = frame_id;
    if (!limits.max_px && !limits.max_bytes)
        return OK;
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT x.fitted_id FROM frame r LEFT JOIN frame_fit x ON x.frame_id = r.frame_id"
        " AND x.max_px = ?2 AND x.max_bytes = ?3 AND ?4 WHERE r.frame_id = ?1"
        " AND ((?2 AND max(r.width_px, r.height_px) > ?2)"
        "  OR (?3 AND length(r.bytes) > ?3))",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "iiii", frame_id, limits.max_px, limits.max_bytes,
        (int64_t)llm->resizes_images);
    s = query_next(q, err);
    if (s == OK && query_has_row(q)) {
        if (query_is_null(q, 0))
            s = error_set(err, E_DATA,
                "frame %lld is larger than llm %s takes, and none was made smaller for "
                "it; run m4a1 collect again",
                (long long)frame_id, llm->name);
        else
            *sent_id = query_int(q, 0);
    }
    query_close(q);
    return s;
}
