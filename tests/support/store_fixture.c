/* store_fixture.c - see store_fixture.h. */
#include "tests/support/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "m4a1/base/files.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define MUST(call)                                                                       \
    do {                                                                                 \
        struct error err = ERROR_INIT;                                                   \
        enum status s_ = (call);                                                         \
        if (s_ != OK)                                                                    \
            fail_msg("%s: %s", #call, err.msg);                                          \
    } while (0)
#define RUN(...) MUST(store_run(f->store, &err, __VA_ARGS__))

static void add_frame(struct store_fixture *f, int position, const char *name)
{
    char bytes[64], hex[HASH_HEX];
    snprintf(bytes, sizeof bytes, "\xff\xd8\xff not really a picture: %s", name);
    hash_hex(bytes, strlen(bytes), hex);
    RUN("INSERT INTO view (position, name, kind, privacy) VALUES (?, ?, 'image', ?)",
        "iti", (int64_t)position, name, (int64_t)position);
    int64_t view_id = store_last_id(f->store);
    RUN("INSERT INTO frame (sha256, media_type, width_px, height_px, bytes)"
        " VALUES (?, 'image/jpeg', 640, 480, ?)",
        "tb", hex, (const void *)bytes, strlen(bytes));
    RUN("INSERT INTO scene_frame (scene_id, view_id, at_ms, frame_id, source)"
        " VALUES (1, ?, 500, ?, 'test')",
        "ii", view_id, store_last_id(f->store));
}

void store_fixture_open(struct store_fixture *f, const char *history)
{
    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/m4a1-fixture-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/a.store", f->folder);
    MUST(store_create(f->path, "fixture", &f->store, &err));
    MUST(store_begin(f->store, &err));
    RUN("INSERT INTO scene (scene_id, name) VALUES (1, 'kitchen')", "");
    add_frame(f, 0, "first_person");
    add_frame(f, 1, "side");
    add_frame(f, 2, "front");
    RUN("INSERT INTO task (task_id, name) VALUES (1, 'Query')", "");
    RUN("INSERT INTO prompt (prompt_id, task_id, text) VALUES (1, 1, 'What is "
        "\"here\"?')",
        "");
    RUN("INSERT INTO prompt (prompt_id, task_id, text) VALUES (2, 1, 'And what else?')",
        "");
    RUN("INSERT INTO recipe (recipe_id, sha256, name, text, loaded_ms)"
        " VALUES (1, 'x', 'r', '{}', 0)",
        "");
    char settings[96];
    snprintf(settings, sizeof settings,
        "{\"history\":{\"images\":\"%s\",\"max_turns\":null}}", history);
    RUN("INSERT INTO plan (plan_id, recipe_id, created_ms, behaviour, seed, settings)"
        " VALUES (1, 1, 0, 'test', 1, ?)",
        "t", settings);
    MUST(store_commit(f->store, &err));
}

void store_fixture_close(struct store_fixture *f)
{
    store_close(f->store);
    f->store = NULL;
    char **names = NULL;
    size_t n = 0;
    MUST(folder_list(f->folder, &names, &n, &err));
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(f->folder, names[i]);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
    folder_list_free(names, n);
    assert_int_equal(rmdir(f->folder), 0);
}

void store_fixture_reopen(struct store_fixture *f)
{
    store_close(f->store);
    f->store = NULL;
    MUST(store_open(f->path, STORE_WRITE, &f->store, &err));
}

int64_t store_fixture_llm(struct store_fixture *f, const char *name, const char *url,
    void (*set)(struct llm *llm))
{
    struct llm llm = { .role = LLM_CLOUD,
        .name = text_copy(name),
        .protocol = text_copy("openai-chat"),
        .endpoint = text_copy("test"),
        .model = text_format("model-of-%s", name),
        .parameters = json_new_object(),
        .url = text_copy(url),
        .slots = 2,
        .accepts = { -1, -1, -1, 0 },
        .max_attempts = 3,
        .image_tokens = 1000,
        .timeout_s = 10 };
    json_set_int(llm.parameters, "max_tokens", 100);
    if (set)
        set(&llm);
    MUST(llm_identify(&llm, &err));
    MUST(llm_save(f->store, &llm, &err));
    int64_t llm_id = llm.llm_id;
    llm_release(&llm);
    return llm_id;
}

void store_fixture_price(
    struct store_fixture *f, int64_t llm_id, int64_t input, int64_t output)
{
    RUN("INSERT INTO price (llm_id, valid_from_ms, input_pusd, cache_read_pusd,"
        " cache_write_pusd, output_pusd, source) VALUES (?1, 0, ?2, ?2, ?2, ?3, 'test')",
        "iii", llm_id, input, output);
}

static int64_t add_call(struct store_fixture *f, int64_t turn_id, const char *purpose,
    int64_t llm_id, const int64_t *parent_id, const int64_t *subject_id, const char *text,
    uint32_t added, uint32_t context)
{
    char name[128], identity[HASH_HEX];
    int64_t n = store_fixture_int(f, "SELECT count(*) FROM call");
    snprintf(name, sizeof name, "call %lld", (long long)n);
    hash_hex(name, strlen(name), identity);
    RUN("INSERT INTO call (identity, turn_id, purpose, llm_id, parent_id, subject_id, "
        "text,"
        " views_added, views_context) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "titiIItii", identity, turn_id, purpose, llm_id, parent_id, subject_id, text,
        (int64_t)added, (int64_t)context);
    return store_last_id(f->store);
}

int64_t store_fixture_session(
    struct store_fixture *f, int64_t llm_id, int n_turns, uint32_t views)
{
    char identity[32];
    int64_t first = 0, parent = 0;
    MUST(store_begin(f->store, &err));
    snprintf(identity, sizeof identity, "session %lld", (long long)f->n_sessions++);
    RUN("INSERT INTO session (identity, scene_id, at_ms, plan_id) VALUES (?, 1, 500, 1)",
        "t", identity);
    int64_t session_id = store_last_id(f->store);
    for (int i = 0; i < n_turns; i++) {
        RUN("INSERT INTO turn (session_id, position, prompt_id) VALUES (?, ?, ?)", "iii",
            session_id, (int64_t)i, (int64_t)(i % 2 + 1));
        parent = add_call(f, store_last_id(f->store), "path", llm_id, i ? &parent : NULL,
            NULL, NULL, i ? 0 : views, views);
        if (!first)
            first = parent;
    }
    MUST(store_commit(f->store, &err));
    return first;
}

int64_t store_fixture_call(struct store_fixture *f, int64_t call_id, const char *purpose,
    int64_t llm_id, const char *text, uint32_t views, int64_t subject_id)
{
    int64_t turn_id = 0, parent_id = 0;
    MUST(store_int(f->store, 0, &turn_id, &err,
        "SELECT turn_id FROM call WHERE call_id = ?", "i", call_id));
    MUST(store_int(f->store, 0, &parent_id, &err,
        "SELECT parent_id FROM call WHERE call_id = ?", "i", call_id));
    return add_call(f, turn_id, purpose, llm_id, parent_id ? &parent_id : NULL,
        subject_id ? &subject_id : NULL, text, views, views);
}

int64_t store_fixture_int(struct store_fixture *f, const char *sql)
{
    int64_t n = 0;
    MUST(store_int(f->store, -1, &n, &err, sql, ""));
    return n;
}

char *store_fixture_text(struct store_fixture *f, const char *sql)
{
    struct query *q = NULL;
    MUST(query_open(f->store, sql, &q, &err));
    query_bind(q, "");
    MUST(query_next(q, &err));
    char *text =
        query_has_row(q) && query_text(q, 0) ? text_copy(query_text(q, 0)) : NULL;
    query_close(q);
    return text;
}
