/* chat_body.h - bodies of Chat Completions requests for tests of the simulator. */
#ifndef TESTS_SUPPORT_CHAT_BODY_H
#define TESTS_SUPPORT_CHAT_BODY_H

#include <stddef.h>

/* Models of the embedded M4A1 recipe, by role. */
#define CHAT_LOCAL "qwen2.5-vl-3b-instruct"
#define CHAT_CLOUD "gpt-5-mini"
#define CHAT_REFERENCE "gpt-5.4"
#define CHAT_JUDGE "gpt-5"

/* One user message: text, then n_views different made-up PNG headers of 768 x 512 that
 * depend on scene, each behind a label ("View first_person:").  extra is put in front of
 * "messages", like "\"stream\":true,", or "".  The caller frees the body. */
char *chat_body(
    const char *model, const char *text, int scene, int n_views, const char *extra);

/* The data URL of one such picture; out holds CHAT_URL bytes. */
#define CHAT_URL 128
void chat_picture(int scene, int view, char out[CHAT_URL]);

#endif
