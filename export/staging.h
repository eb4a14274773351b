/* staging.h - fill a folder beside its place, and put it there whole.
 *
 * Life cycle: staging_open, write files into staging.folder, staging_commit,
 * staging_close.  What killed processes left beside the place is swept up. */
#ifndef EXPORT_STAGING_H
#define EXPORT_STAGING_H

#include "m4a1/base/error.h"

struct staging {
    char *folder; /* "TARGET.partial-PID", to write into */
    char *target;
    int lock_fd; /* held on the folder, so that others know it is in use */
};

/* An empty folder beside target. */
MUST_CHECK enum status staging_open(
    const char *target, struct staging *out, struct error *err);

/* Swap the folder and target in one step; what stood there goes away.  The folder is
 * synced by those who wrote its files (files.h), the parent here. */
MUST_CHECK enum status staging_commit(struct staging *staging, struct error *err);

/* Remove what is left and forget; safe after a failed open. */
void staging_close(struct staging *staging);

#endif
