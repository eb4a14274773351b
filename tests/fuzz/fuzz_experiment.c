/* fuzz_experiment.c - any bytes as an experiment's file: refused with a message, or laid
 * out with a name for each of its settings. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "m4a1/base/json.h"
#include "m4a1/tmo/experiment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *root = NULL;
    struct experiment *e = NULL;
    struct error err = ERROR_INIT;
    if (json_parse((const char *)data, size, "experiment", JSON_UNIQUE_KEYS, &root, NULL))
        return 0;
    if (experiment_parse(root, "experiment", 2, &e, &err)) {
        if (e || !err.msg[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < e->n_settings; i++)
        if (!e->settings[i].label)
            abort();
    experiment_free(e);
    return 0;
}
