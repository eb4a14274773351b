/* fuzz_json.c - any bytes as JSON: what is taken strictly is taken mended, too, to the same
 * value; what is taken mended is UTF-8 once its halves are joined. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAX_PRINTED (16u << 20)

static char *print(const struct json *j)
{
    struct buffer out;
    buffer_init(&out, MAX_PRINTED);
    if (json_print(j, JSON_COMPACT, &out, NULL) != OK)
        abort();
    return buffer_detach(&out, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const unsigned flags[] = { 0, JSON_COMMENTS, JSON_UNIQUE_KEYS,
        JSON_COMMENTS | JSON_UNIQUE_KEYS };
    struct json *strict = NULL, *mended = NULL;
    struct error err = ERROR_INIT;
    const char *text = (const char *)data;
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (json_parse(text, len, "f", flags[i], &strict, &err) != OK && strict)
            abort();
        json_free(strict);
    }
    enum status as_is = json_parse(text, len, "f", 0, &strict, &err);
    enum status s = json_parse(text, len, "f", JSON_MEND, &mended, &err);
    if (as_is == OK && s != OK)
        abort();
    char *b = s == OK ? print(mended) : NULL;
    json_join_halves(b);
    if (b && text_utf8_valid(b, strlen(b)) != strlen(b))
        abort();
    if (as_is == OK) {
        char *a = print(strict);
        if (strcmp(a, b) != 0)
            abort();
        free(a);
    }
    free(b);
    json_free(strict);
    json_free(mended);
    return 0;
}
