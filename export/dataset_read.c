/* dataset_read.c - tell the kinds of DATA apart and hand each to its reader. */
#include "export/dataset.h"

#include <stdlib.h>

#include "export/dataset_build.h"
#include "export/m4a1_json.h"
#include "m4a1/base/log.h"

enum status dataset_read_all(const char *path, struct dataset **out, struct error *err)
{
    return m4a1_json_read(path, 0, out, err);
}

enum status dataset_read(const char *path, struct dataset **out, struct error *err)
{
    struct left_out left;
    enum status s = dataset_read_all(path, out, err);
    if (s)
        return s;
    if ((s = dataset_drop_incomplete(*out, &left, err)) ||
        (s = dataset_seal(*out, err))) {
        dataset_free(*out);
        *out = NULL;
        return s;
    }
    if (left.turns_unasked || left.turns_unscored)
        log_warn(
            "%s: %zu turns without an answer, %zu without a score and %zu behind those "
            "are left out, and with them %zu sessions",
            path, left.turns_unasked, left.turns_unscored, left.turns_behind,
            left.sessions);
    return OK;
}
