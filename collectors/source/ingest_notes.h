/* ingest_notes.h - what ingest has to say about single files and scenes, in order. */
#ifndef COLLECTORS_SOURCE_INGEST_NOTES_H
#define COLLECTORS_SOURCE_INGEST_NOTES_H

#include <stddef.h>
#include "m4a1/base/error.h"

struct ingest_note {
    char *item; /* "kitchen/side.jpg", or a scene's name */
    char *text; /* why, and what to do */
    int failed; /* 1 = something that was asked for is missing; 0 = a remark */
};

struct ingest_notes {
    struct ingest_note *items;
    size_t n, n_failed;
};

/* Copies everything; OK or E_NOMEM. */
MUST_CHECK enum status ingest_note(struct ingest_notes *notes, int failed,
    const char *item, struct error *err, const char *fmt, ...) PRINTF_LIKE(5, 6);
void ingest_notes_release(struct ingest_notes *notes);

#endif
