/* scene_name.c - scenes of the authors' file are known by their image paths only. */
#include "export/scene_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

/* Digits at *s, copied into out; *s is moved behind them. */
static int take_digits(const char **s, char *out, size_t size)
{
    size_t n = strspn(*s, "0123456789");
    if (n == 0 || n >= size)
        return 0;
    memcpy(out, *s, n);
    out[n] = '\0';
    *s += n;
    return 1;
}

static int take_word(const char **s, const char *word)
{
    if (!text_starts(*s, word))
        return 0;
    *s += strlen(word);
    return 1;
}

static int split_path(const char *path, size_t view, char scenario[24], char activity[24])
{
    char at[24];
    snprintf(at, sizeof at, "%zu", view);
    return take_word(&path, "Scenario_") && take_digits(&path, scenario, 24) &&
           take_word(&path, "_Modality_") && take_word(&path, at) &&
           take_word(&path, "_Activity_") && take_digits(&path, activity, 24) &&
           strcmp(path, ".jpg") == 0;
}

static char *join_paths(char *const *paths, size_t n)
{
    struct buffer b;
    buffer_init(&b, (size_t)1 << 24);
    struct json *list = json_new_array();
    char *name = NULL;
    int ok = list != NULL;
    for (size_t i = 0; i < n && ok; i++)
        ok = json_add_text(list, paths[i]) != NULL;
    if (ok && !json_print(list, JSON_COMPACT, &b, NULL))
        name = buffer_detach(&b, NULL);
    json_free(list);
    buffer_release(&b);
    return name;
}

char *scene_name(char *const *paths, size_t n_views)
{
    char scenario[24], activity[24], s[24], a[24];
    if (!paths)
        return text_copy("unknown");
    for (size_t v = 0; v < n_views; v++) {
        if (!split_path(paths[v], v, s, a))
            return join_paths(paths, n_views);
        if (v == 0) {
            memcpy(scenario, s, sizeof s);
            memcpy(activity, a, sizeof a);
        } else if (strcmp(scenario, s) != 0 || strcmp(activity, a) != 0) {
            return join_paths(paths, n_views);
        }
    }
    return text_format("Scenario_%s_Activity_%s", scenario, activity);
}
