/* doctor_call.c - one tiny call an llm, by the engine, in the scratch store. */
#include "collectors/doctor_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "collectors/engine.h"
#include "collectors/source/picture.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/accepts.h"
#include "schema/query.h"

#define SIDE_PX 64          /* some models refuse smaller pictures */
#define SILENCE_BYTES 16000 /* a second at 8 kHz, two bytes a sample */
#define QUESTION "This is a test. Answer with the one word: ready"

/* ---- what is asked -------------------------------------------------------------- */

/* A picture that is not of one colour, as a frame of the first view that is an image. */
static enum status add_picture(struct doctor *d, struct error *err)
{
    struct picture p = { 0 };
    struct buffer jpeg;
    char sha256[HASH_HEX];
    buffer_init(&jpeg, 1u << 20);
    enum status s = picture_new(SIDE_PX, SIDE_PX, 3, &p, err);
    for (int i = 0; s == OK && i < SIDE_PX * SIDE_PX; i++) {
        p.data[3 * i] = (uint8_t)(i % SIDE_PX * 4);
        p.data[3 * i + 1] = (uint8_t)(i / SIDE_PX * 4);
        p.data[3 * i + 2] = 128;
    }
    if (s == OK)
        s = picture_encode_jpeg(&p, 80, &jpeg, err);
    if (s == OK) {
        hash_hex(jpeg.data, jpeg.len, sha256);
        s = store_run(d->scratch, err,
            "INSERT INTO frame (frame_id, sha256, media_type, width_px, height_px, bytes)"
            " VALUES (1, ?, 'image/jpeg', ?2, ?2, ?)",
            "tib", sha256, (int64_t)SIDE_PX, (const void *)jpeg.data, jpeg.len);
    }
    // A recipe without images may have a video: a clip of one frame.
    if (s == OK)
        s = store_run(d->scratch, err,
            "INSERT INTO scene_frame (scene_id, view_id, at_ms, frame_id, source)"
            " SELECT 1, view_id, 0, 1, 'test' FROM view WHERE kind IN ('image', 'video')"
            " ORDER BY kind, position LIMIT 1",
            "");
    picture_release(&p);
    buffer_release(&jpeg);
    return s;
}

/* A second of silence, 8 kHz, as a frame of the first view that is heard. */
static enum status add_silence(struct doctor *d, struct error *err)
{
    static const uint8_t head[] = "RIFF\xa4\x3e\0\0WAVEfmt \x10\0\0\0\1\0\1\0"
                                  "\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\x80\x3e\0";
    uint8_t wav[44 + SILENCE_BYTES] = { 0 };
    char sha256[HASH_HEX];
    memcpy(wav, head, sizeof head);
    hash_hex(wav, sizeof wav, sha256);
    enum status s = store_run(d->scratch, err,
        "INSERT INTO frame (frame_id, sha256, media_type, width_px, height_px, bytes,"
        " duration_ms) VALUES (2, ?, 'audio/wav', 0, 0, ?, 1000)",
        "tb", sha256, (const void *)wav, sizeof wav);
    if (s == OK)
        s = store_run(d->scratch, err,
            "INSERT INTO scene_frame (scene_id, view_id, at_ms, frame_id, source)"
            " SELECT 1, view_id, 0, 2, 'test' FROM view WHERE kind = 'audio'"
            " ORDER BY position LIMIT 1",
            "");
    return s;
}

static enum status add_scene(struct doctor *d, struct error *err)
{
    static const char *const rows[] = {
        "INSERT INTO scene (scene_id, name) VALUES (1, 'test')",
        "INSERT OR IGNORE INTO task (name) VALUES ('test')",
        "INSERT INTO prompt (prompt_id, task_id, text) SELECT 1000000, task_id,"
        " '" QUESTION "' FROM task WHERE name = 'test'",
    };
    enum status s = OK;
    for (size_t i = 0; s == OK && i < COUNT_OF(rows); i++)
        s = store_run(d->scratch, err, rows[i], "");
    if (s == OK)
        s = add_picture(d, err);
    return s == OK ? add_silence(d, err) : s;
}

/* Of the views that have a frame, those that the llm takes. */
static enum status find_views(
    struct doctor *d, const struct llm *llm, int64_t *set, struct error *err)
{
    struct accepts_store views;
    int64_t all = 0;
    *set = 0;
    enum status s = accepts_load(d->scratch, &views, err);
    if (s != OK)
        return s;
    s = store_int(d->scratch, 0, &all, err,
        "SELECT sum(1 << v.position) FROM scene_frame JOIN view v USING (view_id)", "");
    *set = accepts_sent(llm->accepts, views.views, (uint32_t)all);
    accepts_release(&views);
    return s;
}

/* A session of one turn for each llm; with the picture and the silence where it takes
 * them. */
static enum status add_call(struct doctor *d, const struct llm *llm, struct error *err)
{
    int64_t views = 0;
    enum status s = find_views(d, llm, &views, err);
    if (s != OK)
        return s;
    s = store_run(d->scratch, err,
        "INSERT INTO session (identity, scene_id, at_ms) VALUES (?, 1, 0)", "t",
        llm->name);
    if (s == OK)
        s = store_run(d->scratch, err,
            "INSERT INTO turn (session_id, position, prompt_id) VALUES (?, 0, 1000000)",
            "i", store_last_id(d->scratch));
    if (s == OK)
        s = store_run(d->scratch, err,
            "INSERT INTO call (identity, turn_id, purpose, llm_id, views_added,"
            " views_context) SELECT name, ?, 'path', llm_id, ?2, ?2 FROM llm"
            " WHERE name = ?3",
            "iit", store_last_id(d->scratch), views, llm->name);
    // One that does not answer should not keep the others waiting for minutes.
    if (s == OK)
        s = store_run(d->scratch, err,
            "UPDATE llm SET settings = json_set(settings, '$.timeout_s',"
            " min(settings ->> '$.timeout_s', ?)) WHERE name = ?",
            "dt", d->o->timeout_s, llm->name);
    return s;
}

/* ---- what came back ------------------------------------------------------------- */

static int says(const char *text, const char *word)
{
    for (; text && *text; text++)
        if (!strncasecmp(text, word, strlen(word)))
            return 1;
    return 0;
}

/* What to do about a failure. */
static const char *advice(const char *class, const char *error, int64_t http_status)
{
    if (text_equal(class, "auth"))
        return "the server does not take this key: look at its value and its rights";
    if (text_equal(class, "quota"))
        return "no money or quota is left: look at the provider's account page";
    if (text_equal(class, "rate_limit"))
        return "the key works; try again later, or lower limits and slots";
    if (http_status == 404 || says(error, "model"))
        return "look at \"model\" and \"url\": the server knows no such thing";
    if (says(error, "audio") || says(error, "sound"))
        return "it takes no audio: say so with \"accepts\": {\"audio\": 0}";
    if (says(error, "image") || says(error, "vision") || says(error, "mmproj"))
        return "it takes no images: say so with \"accepts\": {\"image\": 0}";
    if (text_equal(class, "timeout"))
        return "it did not answer in time: is the model still being loaded?";
    if (text_equal(class, "request"))
        return "the server refuses the request: look at \"parameters\" and \"options\"";
    return "look at the server, and try again";
}

static void tell_answer(struct doctor *d, const struct llm *llm, const struct query *q)
{
    int has_usage = !query_is_null(q, 6);
    const char *model = query_text(q, 7);
    char usd[32] = "unknown cost";
    if (!query_is_null(q, 4)) {
        text_usd(query_double(q, 4), usd, sizeof usd);
        d->result->cost_usd += query_double(q, 4);
    }
    doctor_note(d, llm, "call", has_usage ? DOCTOR_OK : DOCTOR_WARNING,
        has_usage ? NULL : "without usage its costs stay unknown; see \"stream\"",
        "answered in %.2f s%s%s%s, %s%s%s%s", query_double(q, 3),
        query_int(q, 5) ? " with an image" : "",
        query_int(q, 5) && query_int(q, 9) ? " and" : "",
        query_int(q, 9) ? " with a second of silence" : "", usd,
        has_usage ? "" : ", no usage", model ? ", by " : "", model ? model : "");
    if (query_int(q, 8))
        doctor_note(d, llm, "simulated", DOCTOR_WARNING, NULL,
            "its answers are simulated: this is m4a1 simulate");
}

static void tell_unsent(struct doctor *d, const struct llm *llm)
{
    char own[64] = "";
    if (llm->max_usd > 0)
        snprintf(own, sizeof own, ", or than its own cap of %.4g USD", llm->max_usd);
    doctor_note(d, llm, "call", DOCTOR_SKIPPED,
        llm->max_usd > 0 ? "raise --max-usd or its limits.max_usd, or bound its answers"
                         : "raise --max-usd, or bound its answers",
        "not tried: it might have cost more than what is left of %.4g USD%s",
        d->o->max_usd, own);
}

static enum status tell_all(struct doctor *d, struct error *err)
{
    struct query *q = NULL;
    enum status s = OK;
    for (size_t i = 0; s == OK && i < d->recipe->n_llms; i++) {
        const struct llm *llm = &d->recipe->llms[i];
        if (!d->is_callable[i])
            continue;
        s = query_open(d->scratch,
            "SELECT a.error_class, a.error, a.http_status, a.latency_ns / 1e9,"
            " x.cost_pusd / 1e12, EXISTS (SELECT 1 FROM view v WHERE v.kind <> 'audio'"
            "  AND c.views_added >> v.position & 1), r.input_tokens, r.model, "
            "r.simulated,"
            " EXISTS (SELECT 1 FROM view v WHERE v.kind = 'audio'"
            "  AND c.views_added >> v.position & 1)"
            " FROM call c JOIN llm l USING (llm_id) LEFT JOIN attempt a USING (call_id)"
            " LEFT JOIN response r USING (attempt_id)"
            " LEFT JOIN response_cost x USING (attempt_id) WHERE l.name = ?",
            &q, err);
        if (s != OK)
            return s;
        query_bind(q, "t", llm->name);
        s = query_next(q, err);
        if (s == OK && query_has_row(q)) {
            const char *class = query_text(q, 0), *error = query_text(q, 1);
            if (class)
                doctor_note(d, llm, "call", DOCTOR_WRONG,
                    advice(class, error, query_int(q, 2)), "%s: %s", class, error);
            else if (!query_is_null(q, 3))
                tell_answer(d, llm, q);
            else
                tell_unsent(d, llm);
        }
        query_close(q);
    }
    return s;
}

enum status doctor_call_all(struct doctor *d, struct error *err)
{
    struct engine_result r = { 0 };
    struct engine_options o;
    int n = 0;
    enum status s = add_scene(d, err);
    for (size_t i = 0; s == OK && i < d->recipe->n_llms; i++) {
        n += d->is_callable[i];
        if (d->is_callable[i])
            s = add_call(d, &d->recipe->llms[i], err);
    }
    if (s != OK || !n)
        return s;
    engine_options_init(&o);
    o.max_attempts = 1;
    o.max_usd = d->o->max_usd;
    o.in_flight = n;
    o.connect_timeout_s = 10;
    o.is_rehearsal = 1; // whether answers are simulated is told, not refused
    struct error why = ERROR_INIT;
    s = engine_run(d->scratch, &o, &r, &why);
    d->result->n_calls = (int)r.n_sent;
    engine_result_release(&r);
    if (s == OK || s == E_PARTIAL) // what is missing is told llm by llm
        return tell_all(d, err);
    return error_set(err, s, "%s", why.msg);
}
