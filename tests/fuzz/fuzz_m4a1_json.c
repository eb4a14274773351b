/* fuzz_m4a1_json.c - any bytes as a data file: refused with a message, or read, cut to its
 * complete rows, printed, and read again as the same data set. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "export/dataset_build.h"
#include "export/m4a1_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct dataset *data)
{
    struct buffer text;
    struct dataset *again;
    struct error err = ERROR_INIT;
    buffer_init(&text, (size_t)1 << 28);
    if (m4a1_json_print(data, &text, &err))
        abort();
    if (m4a1_json_parse(text.data, text.len, "again", 0, &again, &err))
        abort();
    if (strcmp(again->digest, data->digest) != 0)
        abort();
    dataset_free(again);
    buffer_release(&text);
}

/* What every reader promises to those who take the data set. */
static void check_promises(const struct dataset *data)
{
    for (size_t s = 0; s < data->n_sessions; s++) {
        const struct session *session = &data->sessions[s];
        if (!session->scene || dataset_session(data, session->id) != session)
            abort();
        for (size_t t = 0; t < session->n_turns; t++) {
            const struct turn *turn = &session->turns[t];
            if (turn->task < 0 || (size_t)turn->task >= data->n_tasks ||
                turn->path.llm < 0 || (size_t)turn->path.llm >= data->n_llms ||
                (turn->path.views_added & ~turn->path.views_context))
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct dataset *data, *strict;
    struct left_out left;
    struct error err = ERROR_INIT;
    enum status s = m4a1_json_parse((const char *)bytes, size, "fuzz", 0, &data, &err);
    if (s) {
        if (data || !err.msg[0])
            abort();
        return 0;
    }
    check_promises(data);
    check_round_trip(data);
    // The authors' format is a part of what is read, so it gives the same data set.
    if (!m4a1_json_parse(
            (const char *)bytes, size, "fuzz", M4A1_JSON_AUTHORS, &strict, &err)) {
        if (strcmp(strict->digest, data->digest) != 0)
            abort();
        dataset_free(strict);
    }
    if (dataset_drop_incomplete(data, &left, &err) || dataset_seal(data, &err))
        abort();
    check_promises(data);
    dataset_free(data);
    return 0;
}
