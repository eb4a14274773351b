/* show_curl.h - an attempt of a call as a curl command, with its frames and no key. */
#ifndef M4A1_CLI_SHOW_CURL_H
#define M4A1_CLI_SHOW_CURL_H

#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

/* Print attempt number (0 = the last) of a call for a shell.  E_NOT_FOUND: no such call
 * or attempt. */
MUST_CHECK enum status show_curl(
    struct store *store, int64_t call_id, int64_t number, struct error *err);

#endif
