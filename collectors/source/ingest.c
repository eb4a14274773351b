/* ingest.c - scenes in batches: workers look, instants are settled, workers decode, the
 * calling thread stores. */
#include "collectors/source/ingest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/pool.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define BATCH_FILES 16 /* decoded before the next ones are looked at; bounds memory */

struct ingest {
    struct store *store;
    const struct recipe *recipe;
    const struct ingest_options *options;
    struct ingest_report *report;
    struct pool *pool;
    struct error *err;
};

/* One scene of a batch. */
struct work {
    const struct scene_folder *folder;
    struct source *sources; /* [folder->n_files] */
    int64_t *at_ms;
    size_t n_instants;
};

/* One file of a batch, as a worker sees it. */
struct job {
    const struct ingest *in;
    const struct work *work;
    size_t file;
};

// ---- views ----

static enum status load_views(struct ingest *in)
{
    struct query *q;
    enum status s = query_open(in->store,
        "SELECT view_id, name, kind FROM view WHERE retired_ms IS NULL ORDER BY position",
        &q, in->err);
    if (s)
        return s;
    query_bind(q, "");
    in->report->views = calloc(RECIPE_MAX_VIEWS, sizeof *in->report->views);
    if (!in->report->views)
        s = error_nomem(in->err, RECIPE_MAX_VIEWS * sizeof *in->report->views);
    while (s == OK && (s = query_next(q, in->err)) == OK && query_has_row(q)) {
        struct scene_view *view = &in->report->views[in->report->n_views];
        view->view_id = query_int(q, 0);
        view->name = text_copy(query_text(q, 1));
        for (int k = 0; k < N_VIEW_KINDS; k++)
            if (text_equal(query_text(q, 2), view_kind_names[k]))
                view->kind = (enum view_kind)k;
        if (!view->name)
            s = error_nomem(in->err, sizeof *view);
        else if (++in->report->n_views == RECIPE_MAX_VIEWS)
            break;
    }
    query_close(q);
    if (s == OK && !in->report->n_views)
        s = error_set(in->err, E_DATA,
            "the store %s has no views; give it a recipe first: m4a1 init STORE --recipe "
            "FILE",
            store_path(in->store));
    return s;
}

static struct source_terms terms_of(
    const struct ingest *in, const struct scene_view *view)
{
    const struct recipe *r = in->recipe;
    struct source_terms terms = { .kind = view->kind,
        .longest_side_px = r->frames.longest_side_px,
        .jpeg_quality = r->frames.jpeg_quality,
        .audio_ms = llround(r->frames.audio_s * 1000),
        .clip_frames = 1 };
    for (size_t i = 0; i < r->n_views; i++)
        if (view->kind == VIEW_VIDEO && r->views[i].kind == VIEW_VIDEO &&
            text_equal(r->views[i].name, view->name)) {
            terms.clip_frames = r->views[i].clip_frames;
            terms.clip_every_ms = llround(r->views[i].clip_every_s * 1000);
        }
    return terms;
}

// ---- instants ----

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static enum status given_instants(struct ingest *in, struct work *work)
{
    size_t n = in->recipe->frames.n_at;
    work->at_ms = calloc(n, sizeof *work->at_ms);
    if (!work->at_ms)
        return error_nomem(in->err, n * sizeof *work->at_ms);
    for (size_t i = 0; i < n; i++)
        work->at_ms[i] = llround(in->recipe->frames.at_s[i] * 1000);
    qsort(work->at_ms, n, sizeof *work->at_ms, by_value);
    for (size_t i = 0; i < n; i++)
        if (!i || work->at_ms[i] != work->at_ms[work->n_instants - 1])
            work->at_ms[work->n_instants++] = work->at_ms[i];
    return OK;
}

// Every so often from 0 to the end of the shortest file, so that all views show each.
static enum status regular_instants(
    struct ingest *in, struct work *work, int64_t shortest_ms, int n_parts)
{
    double every_ms = in->recipe->frames.every_s * 1000;
    double n = ceil((double)shortest_ms / every_ms);
    if (n * n_parts > INGEST_MAX_INSTANTS)
        return ingest_note(&in->report->notes, 1, work->folder->name, in->err,
            "refused: %.3f s at %s every %g s are %.0f %s, above the ceiling "
            "of %d; raise frames.every_s in the recipe or cut the video",
            (double)shortest_ms / 1000, n_parts > 1 ? "a clip" : "a frame",
            in->recipe->frames.every_s, n * n_parts, n_parts > 1 ? "frames" : "instants",
            INGEST_MAX_INSTANTS);
    size_t count = n < 1 ? 1 : (size_t)n;
    work->at_ms = calloc(count, sizeof *work->at_ms);
    if (!work->at_ms)
        return error_nomem(in->err, count * sizeof *work->at_ms);
    for (size_t i = 0; i < count; i++) {
        int64_t at = llround((double)i * every_ms);
        if (!i || at < shortest_ms)
            work->at_ms[work->n_instants++] = at;
    }
    return OK;
}

// Only readable files count; without one among them that lasts the one instant is 0.
static enum status settle_instants(struct ingest *in, struct work *work)
{
    int64_t shortest = -1;
    int n_parts = 1;
    for (size_t i = 0; i < work->folder->n_files; i++) {
        const struct source *source = &work->sources[i];
        if (source->err.code || !source->is_timed)
            continue;
        // The last instant of a clip is the one whose frames are all within the video.
        int n = source_n_parts(source);
        int64_t lasts = source->duration_ms - source_offset_ms(source, n - 1);
        if (shortest < 0 || lasts < shortest)
            shortest = lasts > 0 ? lasts : 0;
        n_parts = n > n_parts ? n : n_parts;
    }
    if (shortest >= 0 && in->recipe->frames.every_s > 0)
        return regular_instants(in, work, shortest, n_parts);
    if (shortest >= 0 && in->recipe->frames.n_at)
        return given_instants(in, work);
    work->at_ms = calloc(1, sizeof *work->at_ms);
    work->n_instants = 1;
    return work->at_ms ? OK : error_nomem(in->err, sizeof *work->at_ms);
}

// ---- workers ----

static void open_job(void *arg)
{
    const struct job *job = arg;
    const struct scene_file *file = &job->work->folder->files[job->file];
    struct source_terms terms = terms_of(job->in, &job->in->report->views[file->view]);
    source_open(&job->work->sources[job->file], file->path, &terms,
        job->in->recipe->frames.every_s > 0);
}

static void make_job(void *arg)
{
    const struct job *job = arg;
    source_make(&job->work->sources[job->file], job->work->at_ms, job->work->n_instants);
}

static enum status run_jobs(struct ingest *in, pool_job *run, struct job *jobs, size_t n)
{
    enum status s = OK;
    for (size_t i = 0; s == OK && i < n; i++)
        if (run == open_job || jobs[i].work->n_instants)
            s = pool_submit(in->pool, run, &jobs[i], in->err);
    pool_wait(in->pool);
    return s;
}

// ---- storing ----

static enum status note_files(struct ingest *in, const struct work *work, int *any)
{
    enum status s = OK;
    *any = 0;
    for (size_t i = 0; s == OK && i < work->folder->n_files; i++) {
        const struct source *source = &work->sources[i];
        in->report->n_files++;
        *any |= source->n_frames > 0;
        if (!source->err.code)
            continue;
        in->report->n_files_failed++;
        s = ingest_note(&in->report->notes, 1, work->folder->files[i].item, in->err,
            "refused: %s", source->err.msg);
    }
    return s;
}

static enum status note_incomplete(struct ingest *in, const struct ingest_scene *scene)
{
    const struct scene_result *r = &scene->result;
    if (r->outcome == SCENE_REFUSED || r->n_complete == r->n_instants)
        return OK;
    in->report->n_incomplete++;
    return ingest_note(&in->report->notes, 1, scene->name, in->err,
        "incomplete: %zu of %zu instants lack a view (%s); sessions are planned only "
        "over instants that every view shows",
        r->n_instants - r->n_complete, r->n_instants, r->missing ? r->missing : "?");
}

static enum status finish_scene(struct ingest *in, const struct work *work)
{
    struct ingest_report *report = in->report;
    int any;
    enum status s = note_files(in, work, &any);
    if (s)
        return s;
    struct ingest_scene *scene = &report->scenes[report->n_scenes];
    *scene = (struct ingest_scene) { .name = text_copy(work->folder->name),
        .result.outcome = SCENE_REFUSED };
    if (!scene->name)
        return error_nomem(in->err, strlen(work->folder->name));
    report->n_scenes++;
    const struct scene_content content = { work->folder, in->report->views, work->sources,
        work->at_ms, work->n_instants };
    if (any && !work->folder->failed)
        s = scene_store(in->store, &content, &scene->result, &report->notes, in->err);
    report->n_outcomes[scene->result.outcome]++;
    report->n_new_frames += scene->result.n_new_frames;
    report->new_bytes += scene->result.new_bytes;
    if (s == OK)
        s = note_incomplete(in, scene);
    char note[64];
    snprintf(note, sizeof note, "%zu files refused", report->n_files_failed);
    progress_step(in->options->progress, (int64_t)work->folder->n_files,
        report->n_files_failed ? note : NULL);
    return s;
}

static void work_release(struct work *work)
{
    for (size_t i = 0; work->sources && i < work->folder->n_files; i++)
        source_close(&work->sources[i]);
    free(work->sources);
    free(work->at_ms);
}

static enum status run_batch(
    struct ingest *in, struct work *works, size_t n_works, struct job *jobs)
{
    size_t n_jobs = 0;
    enum status s = OK;
    for (size_t i = 0; s == OK && i < n_works; i++) {
        size_t n = works[i].folder->n_files;
        works[i].sources = calloc(n + 1, sizeof *works[i].sources);
        if (!works[i].sources)
            s = error_nomem(in->err, n * sizeof *works[i].sources);
        for (size_t k = 0; s == OK && k < n; k++)
            jobs[n_jobs++] = (struct job) { in, &works[i], k };
    }
    if (s == OK)
        s = run_jobs(in, open_job, jobs, n_jobs);
    for (size_t i = 0; s == OK && i < n_works; i++)
        s = settle_instants(in, &works[i]);
    if (s == OK)
        s = run_jobs(in, make_job, jobs, n_jobs);
    for (size_t i = 0; s == OK && i < n_works; i++)
        s = finish_scene(in, &works[i]);
    for (size_t i = 0; i < n_works; i++)
        work_release(&works[i]);
    return s;
}

static enum status run_all(struct ingest *in, const struct scene_folders *folders)
{
    enum status s = OK;
    struct work works[BATCH_FILES];
    struct job jobs[BATCH_FILES + RECIPE_MAX_VIEWS];
    for (size_t i = 0; s == OK && i < folders->n;) {
        if (in->options->is_stopped && in->options->is_stopped())
            return error_set(in->err, E_INTERRUPTED,
                "stopped after %zu of %zu scenes; run the same command to go on",
                in->report->n_scenes, folders->n);
        size_t n_works = 0, n_files = 0;
        while (i < folders->n && n_works < BATCH_FILES && n_files < BATCH_FILES) {
            works[n_works++] = (struct work) { .folder = &folders->items[i] };
            n_files += folders->items[i++].n_files;
        }
        s = run_batch(in, works, n_works, jobs);
    }
    return s;
}

// ---- the whole ----

static enum status judge(const struct ingest_report *report, struct error *err)
{
    if (!report->notes.n_failed)
        return OK;
    return error_set(err, E_PARTIAL,
        "%zu of %zu files refused, %zu of %zu scenes refused, %zu incomplete; mend what "
        "is named above and run the same command again",
        report->n_files_failed, report->n_files, report->n_outcomes[SCENE_REFUSED],
        report->n_scenes, report->n_incomplete);
}

enum status ingest_folder(struct store *store, const struct recipe *recipe,
    const struct ingest_options *options, struct ingest_report *report, struct error *err)
{
    *report = (struct ingest_report) { 0 };
    struct ingest in = {
        .store = store, .recipe = recipe, .options = options, .report = report, .err = err
    };
    struct scene_folders folders = { 0 };
    enum status s = load_views(&in);
    if (s == OK)
        s = scene_folders_scan(options->folder, report->views, report->n_views, &folders,
            &report->notes, err);
    if (s == OK) {
        int64_t n_files = 0;
        for (size_t i = 0; i < folders.n; i++)
            n_files += (int64_t)folders.items[i].n_files;
        progress_total(options->progress, n_files);
        report->scenes = calloc(folders.n, sizeof *report->scenes);
        if (!report->scenes)
            s = error_nomem(err, folders.n * sizeof *report->scenes);
    }
    if (s == OK)
        s = pool_new(options->n_threads, &in.pool, err);
    if (s == OK)
        s = run_all(&in, &folders);
    if (s == OK)
        s = judge(report, err);
    pool_free(in.pool);
    scene_folders_release(&folders);
    return s;
}

void ingest_report_release(struct ingest_report *report)
{
    for (size_t i = 0; i < report->n_scenes; i++) {
        free(report->scenes[i].name);
        free(report->scenes[i].result.missing);
    }
    free(report->scenes);
    for (size_t i = 0; i < report->n_views; i++)
        free(report->views[i].name);
    free(report->views);
    ingest_notes_release(&report->notes);
    *report = (struct ingest_report) { 0 };
}
