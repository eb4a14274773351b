/* export_case.c - see export_case.h. */
#include "tests/support/export_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/import.h"
#include "export/m4a1_json.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"

const char export_sample[] =
    "[{\"id\": 7,\n"
    "  \"image_paths\": [\"Scenario_4_Modality_0_Activity_1.jpg\",\n"
    "                  \"Scenario_4_Modality_1_Activity_1.jpg\"],\n"
    "  \"interactions\": [\n"
    "    {\"question\": \"What is on the table?\", \"task_cat\": \"Query\", \"action\": "
    "1,\n"
    "     \"image_index\": [1, 0], \"answer\": \"Bread, I think. \\u00e9\\n\\\"x\\\"\",\n"
    "     \"score\": 0.30000000000000004, \"interaction_time\": 2.1567187309265137,\n"
    "     \"usage_cost\": 6.75e-05},\n"
    "    {\"question\": \"And now?\", \"task_cat\": \"Advice\", \"action\": 1,\n"
    "     \"image_index\": null, \"answer\": \"I'm sorry.\", \"score\": 9,\n"
    "     \"interaction_time\": 1e22, \"usage_cost\": 5e-324},\n"
    "    {\"question\": \"And now?\", \"task_cat\": \"Query\", \"action\": 0,\n"
    "     \"image_index\": null, \"answer\": \"\", \"score\": 0.1,\n"
    "     \"interaction_time\": 0, \"usage_cost\": 0}],\n"
    "  \"association_score\": [[0.19165587425231934, 0.1], [-0.25, 1], [0, "
    "0.12345678901234568]]},\n"
    " {\"id\": 3,\n"
    "  \"image_paths\": [\"kitchen/a.png\", \"kitchen/b.png\"],\n"
    "  \"interactions\": [\n"
    "    {\"question\": \"And now?\", \"task_cat\": \"Query\", \"action\": 1,\n"
    "     \"image_index\": [1], \"answer\": \"Butter.\", \"score\": 1.5,\n"
    "     \"interaction_time\": 3, \"usage_cost\": 0.004},\n"
    "    {\"question\": \"More?\", \"task_cat\": \"Query\", \"action\": 1,\n"
    "     \"image_index\": [1, 0], \"answer\": \"Jam.\", \"score\": 1.25,\n"
    "     \"interaction_time\": 4, \"usage_cost\": 0.005}],\n"
    "  \"association_score\": [[0.2, 0.3], [0.25, 0.35]]},\n"
    " {\"id\": 12,\n"
    "  \"image_paths\": [\"Scenario_4_Modality_0_Activity_1.jpg\",\n"
    "                  \"Scenario_4_Modality_1_Activity_1.jpg\"],\n"
    "  \"interactions\": [\n"
    "    {\"question\": \"Lights off!\", \"task_cat\": \"Query\", \"action\": 0,\n"
    "     \"image_index\": null, \"answer\": \"Done.\", \"score\": 1,\n"
    "     \"interaction_time\": 0.5, \"usage_cost\": 0.00001}],\n"
    "  \"association_score\": [[0.2, 0.3]]}]\n";

int export_set_up(void **state)
{
    char *folder = text_copy("/tmp/m4a1-export-XXXXXX");
    *state = folder && mkdtemp(folder) ? folder : NULL;
    return *state == NULL;
}

static void remove_all(const char *folder)
{
    char **names = NULL;
    size_t n = 0;
    assert_int_equal(folder_list(folder, &names, &n, NULL), OK);
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(folder, names[i]);
        if (file_is_folder(path))
            remove_all(path);
        else
            assert_int_equal(unlink(path), 0);
        free(path);
    }
    folder_list_free(names, n);
    assert_int_equal(rmdir(folder), 0);
}

int export_tear_down(void **state)
{
    remove_all(*state);
    free(*state);
    return 0;
}

const char *export_path(void **state, const char *name)
{
    static char paths[16][128];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", (const char *)*state, name);
    return path;
}

char *export_with(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("the sample has no %s", from);
    char *out = text_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_non_null(out);
    return out;
}

struct dataset *export_parse(const char *text, unsigned flags)
{
    struct dataset *data = NULL;
    struct error err = ERROR_INIT;
    if (m4a1_json_parse(text, strlen(text), "sample.json", flags, &data, &err))
        fail_msg("%s", err.msg);
    return data;
}

struct dataset *export_read(const char *path)
{
    struct dataset *data = NULL;
    struct error err = ERROR_INIT;
    if (dataset_read(path, &data, &err))
        fail_msg("%s", err.msg);
    return data;
}

void export_import(const char *path, const char *text)
{
    struct dataset *data = export_parse(text, M4A1_JSON_AUTHORS);
    struct store *store = NULL;
    struct import_counts counts;
    struct error err = ERROR_INIT;
    enum status s = file_exists(path) ? store_open(path, STORE_WRITE, &store, &err)
                                      : store_create(path, "sample", &store, &err);
    if (!s)
        s = import_dataset(store, data, &counts, &err);
    if (s)
        fail_msg("%s", err.msg);
    store_close(store);
    dataset_free(data);
}

char *export_file(const char *path)
{
    struct buffer b;
    struct error err = ERROR_INIT;
    buffer_init(&b, (size_t)1 << 26);
    if (file_read(path, &b, &err))
        fail_msg("%s", err.msg);
    char *text = text_copy(buffer_str(&b));
    buffer_release(&b);
    return text;
}
