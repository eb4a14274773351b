/* import_associations.c - see import_associations.h. */
#include "export/import_associations.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "export/association_rows.h"
#include "export/session_numbers.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

struct place {
    int64_t id, session_id;
};

struct importer {
    struct store *store;
    const char *path;
    struct place *places; /* [n_places] by id */
    size_t n_places;
    struct import_associations_counts *counts;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static enum status read_places(struct importer *im, struct error *err)
{
    struct session_numbers numbers;
    enum status s = session_numbers_read(im->store, &numbers, err);
    if (s)
        return s;
    im->n_places = numbers.n;
    im->places = calloc(numbers.n + 1, sizeof *im->places);
    for (size_t i = 0; im->places && i < numbers.n; i++)
        im->places[i] = (struct place) { numbers.id[i], numbers.session_id[i] };
    if (im->places)
        qsort(im->places, im->n_places, sizeof *im->places, compare_places);
    else
        s = error_nomem(err, numbers.n * sizeof *im->places);
    session_numbers_release(&numbers);
    return s;
}

static enum status find_turn(struct importer *im, const struct association_row *row,
    int64_t *turn_id, struct error *err)
{
    int64_t session_id = 0;
    struct place key = { 0 };
    enum status s = OK;
    *turn_id = 0;
    if (strlen(row->session) == HASH_HEX - 1) {
        s = store_int(im->store, 0, &session_id, err,
            "SELECT session_id FROM session WHERE identity = ?", "t", row->session);
    } else if (!text_to_int(row->session, "session", 0, INT64_MAX, &key.id, NULL)) {
        const struct place *place =
            bsearch(&key, im->places, im->n_places, sizeof *im->places, compare_places);
        session_id = place ? place->session_id : 0;
    }
    if (!s && !session_id)
        return error_set(err, E_DATA,
            "%s:%zu: session '%s': the store has none of that id (exports tell them) or "
            "identity",
            im->path, row->line, row->session);
    if (!s)
        s = store_int(im->store, 0, turn_id, err,
            "SELECT turn_id FROM turn WHERE session_id = ? AND position = ?", "ii",
            session_id, row->turn);
    if (!s && !*turn_id)
        return error_set(err, E_DATA,
            "%s:%zu: session %s has no turn %lld; turns are counted from 0", im->path,
            row->line, row->session, (long long)row->turn);
    return s;
}

static enum status find_view(struct importer *im, const struct association_row *row,
    int64_t *view_id, struct error *err)
{
    struct query *q;
    *view_id = 0;
    enum status s = query_open(im->store,
        "SELECT view_id, kind FROM view WHERE name = ?1 OR CAST(position AS TEXT) = ?1"
        " ORDER BY name <> ?1 LIMIT 1",
        &q, err);
    if (s)
        return s;
    query_bind(q, "t", row->view);
    s = query_next(q, err);
    if (!s && !query_has_row(q))
        s = error_set(err, E_DATA, "%s:%zu: the store has no view '%s'", im->path,
            row->line, row->view);
    else if (!s && !text_equal(query_text(q, 1), "image"))
        s = error_set(err, E_DATA,
            "%s:%zu: view '%s' is of kind %s; only images have associations", im->path,
            row->line, row->view, query_text(q, 1));
    else if (!s)
        *view_id = query_int(q, 0);
    query_close(q);
    return s;
}

static enum status find_model(
    struct importer *im, const struct association_row *row, struct error *err)
{
    int64_t is_ours = 0;
    enum status s = store_int(im->store, -1, &is_ours, err,
        "SELECT identity IS NOT NULL FROM association_model WHERE name = ?", "t",
        row->model);
    if (!s && is_ours > 0)
        return error_set(err, E_DATA,
            "%s:%zu: model '%s' is one that this store computes itself; name another",
            im->path, row->line, row->model);
    if (s || !is_ours)
        return s;
    im->counts->models++;
    return store_run(im->store, err,
        "INSERT INTO association_model (name, added_ms) VALUES (?, ?)", "ti", row->model,
        clock_wall_ms());
}

static enum status keep_value(struct importer *im, const struct association_row *row,
    int64_t turn_id, int64_t view_id, struct error *err)
{
    struct query *q;
    enum status s = query_open(im->store,
        "SELECT value FROM association WHERE turn_id = ? AND view_id = ? AND model = ?",
        &q, err);
    if (s)
        return s;
    query_bind(q, "iit", turn_id, view_id, row->model);
    s = query_next(q, err);
    int is_there = !s && query_has_row(q);
    double old = is_there ? query_double(q, 0) : 0;
    query_close(q);
    if (is_there && old != row->value)
        return error_set(err, E_DATA,
            "%s:%zu: session %s, turn %lld, view %s has the value %.9g of model %s "
            "already, not %.9g; name another model",
            im->path, row->line, row->session, (long long)row->turn, row->view, old,
            row->model, row->value);
    if (s || is_there) {
        im->counts->present += !s;
        return s;
    }
    im->counts->values++;
    return store_run(im->store, err,
        "INSERT INTO association (turn_id, view_id, model, value) VALUES (?, ?, ?, ?)",
        "iitd", turn_id, view_id, row->model, row->value);
}

static enum status take_row(
    struct importer *im, const struct association_row *row, struct error *err)
{
    int64_t turn_id, view_id;
    enum status s = find_turn(im, row, &turn_id, err);
    if (!s)
        s = find_view(im, row, &view_id, err);
    if (!s && isnan(row->value)) {
        im->counts->none++;
        return OK;
    }
    if (!s)
        s = find_model(im, row, err);
    return s ? s : keep_value(im, row, turn_id, view_id, err);
}

enum status import_associations(struct store *store, const char *path,
    struct import_associations_counts *counts, struct error *err)
{
    *counts = (struct import_associations_counts) { 0 };
    struct importer im = { .store = store, .path = path, .counts = counts };
    struct association_reader *reader;
    struct association_row row;
    int has_row = 1;
    enum status s = association_reader_open(path, &reader, err);
    if (s)
        return s;
    if (!(s = store_begin(store, err)))
        s = read_places(&im, err);
    while (!s && !(s = association_reader_next(reader, &row, &has_row, err)) && has_row)
        s = take_row(&im, &row, err);
    if (!s)
        s = store_commit(store, err);
    if (s)
        store_rollback(store);
    free(im.places);
    association_reader_close(reader);
    return s;
}
