/* fuzz_tmo_config.c - any bytes as a config of training, and as a table of costs: refused
 * with a message, or taken, written and taken again as the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/json.h"
#include "m4a1/tmo/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct tmo_config *config, struct buffer *out)
{
    struct json *root = json_new_object();
    if (!root || tmo_config_write(config, 1, root, NULL) ||
        json_print(root, JSON_CANONICAL, out, NULL))
        abort();
    json_free(root);
}

/* What is written reads back to the same text. */
static void again(const struct tmo_config *config)
{
    struct buffer first, second;
    struct tmo_config copy;
    struct json *root = NULL;
    struct error err = ERROR_INIT;
    buffer_init(&first, 1 << 22);
    buffer_init(&second, 1 << 22);
    print(config, &first);
    if (json_parse(first.data, first.len, "config", JSON_UNIQUE_KEYS, &root, &err))
        abort();
    tmo_config_init(&copy, config->environment.as_published);
    if (tmo_config_read(&copy, root, "config", &err))
        abort();
    print(&copy, &second);
    if (strcmp(buffer_str(&first), buffer_str(&second)) != 0)
        abort();
    tmo_config_release(&copy);
    json_free(root);
    buffer_release(&first);
    buffer_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *root = NULL;
    struct cost_table *table = NULL;
    struct tmo_config config;
    struct error err = ERROR_INIT;
    if (json_parse((const char *)data, size, "config", JSON_UNIQUE_KEYS, &root, NULL))
        return 0;
    tmo_config_init(&config, json_bool(json_get(root, "as_published"), 0));
    if (tmo_config_read(&config, root, "config", &err) == OK)
        again(&config);
    else if (!err.msg[0])
        abort();
    tmo_config_release(&config);
    err = (struct error)ERROR_INIT;
    if (cost_table_parse(root, "costs", &table, &err) && (table || !err.msg[0]))
        abort();
    cost_table_free(table);
    json_free(root);
    return 0;
}
