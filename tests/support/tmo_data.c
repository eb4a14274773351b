/* tmo_data.c - find the shared reference values, make small data sets. */
#include "tests/support/tmo_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"

#define GOLDEN_MAX ((size_t)64 << 20)

char *golden_path(const char *name)
{
    const char *shared = getenv("M4A1_SHARED");
    char *path = path_join(shared ? shared : "../shared", name);
    if (path && !file_exists(path)) {
        free(path);
        path = NULL;
    }
    return path;
}

static void fail(const struct error *err)
{
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

struct json *golden_json(const char *name)
{
    struct error err = ERROR_INIT;
    struct json *root = NULL;
    char *path = golden_path(name);
    if (path && json_read_file(path, GOLDEN_MAX, 0, &root, &err))
        fail(&err);
    free(path);
    return root;
}

struct dataset *golden_dataset(void)
{
    struct error err = ERROR_INIT;
    struct dataset *data = NULL;
    char *path = golden_path("data/m4a1_public.json");
    if (path && dataset_read(path, &data, &err))
        fail(&err);
    free(path);
    return data;
}

int64_t *golden_ids(const struct json *list, size_t *n)
{
    *n = json_size(list);
    int64_t *ids = calloc(*n + 1, sizeof *ids);
    if (!ids)
        exit(1);
    size_t i = 0;
    for (const struct json *c = json_first(list); c; c = json_next(c))
        ids[i++] = json_int(c, -1);
    return ids;
}

struct dataset *text_dataset(const char *json)
{
    struct error err = ERROR_INIT;
    struct dataset *data = NULL;
    char path[] = "/tmp/m4a1-test-XXXXXX";
    int fd = mkstemp(path);
    size_t len = strlen(json);
    if (fd < 0 || write(fd, json, len) != (ssize_t)len)
        exit(1);
    close(fd);
    enum status s = dataset_read(path, &data, &err);
    unlink(path);
    if (s)
        fail(&err);
    return data;
}

/* The authors' image_index: all views held where the choice brings new ones, else null. */
static void add_image_index(
    struct buffer *text, size_t cloud, size_t choice, size_t *held)
{
    static const char *const lists[] = { "null", "[0]", "[1]", "[0, 1]" };
    size_t with = *held | choice;
    int adds = cloud && with != *held;
    if (adds)
        *held = with;
    buffer_add_str(text, lists[adds ? with : 0]);
}

struct dataset *simple_dataset(
    size_t n_sessions, size_t n_turns, const double score[2][2])
{
    struct buffer text;
    buffer_init(&text, GOLDEN_MAX);
    buffer_add_char(&text, '[');
    for (size_t i = 0; i < n_sessions; i++) {
        size_t held = 0;
        buffer_printf(&text,
            "%s{\"id\": %zu, \"image_paths\": "
            "[\"Scenario_%zu_Modality_0_Activity_0.jpg\", "
            "\"Scenario_%zu_Modality_1_Activity_0.jpg\"], \"interactions\": [",
            i ? ", " : "", i, i, i);
        for (size_t t = 0; t < n_turns; t++) {
            size_t n = i * n_turns + t, task = n % 2, cloud = n / 2 % 2;
            buffer_printf(&text,
                "%s{\"question\": \"q\", \"task_cat\": \"%s\", \"action\": %zu, "
                "\"answer\": \"yes\", \"score\": %.17g, \"interaction_time\": 1.5, "
                "\"usage_cost\": 0.001, \"image_index\": ",
                t ? ", " : "", task ? "b" : "a", cloud, score[task][cloud]);
            add_image_index(&text, cloud, n / 4 % 4, &held);
            buffer_add_char(&text, '}');
        }
        buffer_add_str(&text, "], \"association_score\": [");
        for (size_t t = 0; t < n_turns; t++)
            buffer_add_str(&text, t ? ", [0.1, 0.2]" : "[0.1, 0.2]");
        buffer_add_str(&text, "]}");
    }
    buffer_add_char(&text, ']');
    struct dataset *data = text_dataset(buffer_str(&text));
    buffer_release(&text);
    return data;
}
