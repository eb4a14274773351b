/* experiment_config.c - configs laid on top of each other, each with a name for messages. */
#include "m4a1/tmo/experiment_config.h"

#include <stdio.h>
#include <string.h>

#include "m4a1/tmo/synthetic.h"

#define WHERE_MAX 500

enum status experiment_configure(const struct experiment *e, size_t setting,
    const struct experiment_row *row, struct tmo_config *out, struct error *err)
{
    const struct json *base = json_get(e->root, "config");
    char where[WHERE_MAX];
    tmo_config_init(out, json_bool(json_get(base, "as_published"), 0));
    snprintf(where, sizeof where, "%s: config", e->file);
    enum status s = base ? tmo_config_read(out, base, where, err) : OK;
    for (size_t i = 0; i < e->n_factors && !s; i++) {
        const struct experiment_value *value = experiment_value_of(e, setting, i);
        if (!value || !value->config)
            continue;
        snprintf(where, sizeof where, "%s: factor \"%s\", value \"%s\", config", e->file,
            e->factors[i].name, value->label);
        s = tmo_config_read(out, value->config, where, err);
    }
    snprintf(where, sizeof where, "%s: row \"%s\", config", e->file, row->name);
    if (!s && row->config)
        s = tmo_config_read(out, row->config, where, err);
    if (s)
        return s;
    s = tmo_config_settle(out, err);
    if (s) {
        const char *label = e->settings[setting].label;
        (void)error_prefix(err, "%s: row \"%s\"%s%s%s: ", e->file, row->name,
            *label ? " with \"" : "", label, *label ? "\"" : "");
    }
    return s;
}

enum status experiment_configure_training(const struct experiment *e,
    const struct experiment_row *row, const struct tmo_config *config,
    struct tmo_config *out, struct error *err)
{
    char where[WHERE_MAX];
    enum status s = tmo_config_copy(config, out, err);
    if (s) {
        memset(out, 0, sizeof *out);
        return s;
    }
    snprintf(where, sizeof where, "%s: row \"%s\", training", e->file, row->name);
    s = tmo_config_read(out, row->training, where, err);
    return s ? s : tmo_config_settle(out, err);
}

enum status experiment_shape(const struct json *data, const char *where,
    struct synthetic_shape *out, struct error *err)
{
    static const char *const names[] = { "views", "tasks", "turns", "sessions" };
    size_t *const to[] = { &out->n_views, &out->n_tasks, &out->n_turns,
        &out->n_sessions };
    *out = (struct synthetic_shape) { .n_sessions = 10000 };
    for (size_t i = 0; i < 4; i++) {
        const struct json *j = json_get(data, names[i]);
        if (j && (!json_is_int(j) || json_int(j, 0) < 0))
            return error_set(
                err, E_DATA, "%s: data.%s is a whole number", where, names[i]);
        if (j)
            *to[i] = (size_t)json_int(j, 0);
    }
    enum status s = synthetic_check(out, err);
    if (s)
        (void)error_prefix(err, "%s: data: ", where);
    return s ? E_DATA : OK;
}
