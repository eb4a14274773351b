/* ingest_notes.c - a growing list of remarks. */
#include "collectors/source/ingest_notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "m4a1/base/text.h"

enum status ingest_note(struct ingest_notes *notes, int failed, const char *item,
    struct error *err, const char *fmt, ...)
{
    struct error text;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text.msg, sizeof text.msg, fmt, args);
    va_end(args);

    size_t n = notes->n + 1;
    struct ingest_note *items = realloc(notes->items, n * sizeof *items);
    if (!items)
        return error_nomem(err, n * sizeof *items);
    notes->items = items;
    struct ingest_note note = { text_copy(item), text_copy(text.msg), failed };
    if (!note.item || !note.text) {
        free(note.item);
        free(note.text);
        return error_nomem(err, sizeof text.msg);
    }
    items[notes->n++] = note;
    notes->n_failed += failed != 0;
    return OK;
}

void ingest_notes_release(struct ingest_notes *notes)
{
    for (size_t i = 0; i < notes->n; i++) {
        free(notes->items[i].item);
        free(notes->items[i].text);
    }
    free(notes->items);
    *notes = (struct ingest_notes) { 0 };
}
