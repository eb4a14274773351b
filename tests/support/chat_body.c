/* chat_body.c - write a request body with pictures. */
#include "tests/support/chat_body.h"

#include <stdio.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"

void chat_picture(int scene, int view, char out[CHAT_URL])
{
    unsigned char png[36] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x03\0\0\0\x02";
    char text[64];
    png[26] = (unsigned char)scene;
    png[27] = (unsigned char)(scene >> 8);
    png[28] = (unsigned char)view;
    base64_encode(png, sizeof png, text);
    snprintf(out, CHAT_URL, "data:image/png;base64,%s", text);
}

static void add_text(struct json *content, const char *text)
{
    struct json *part = json_add_object(content);
    json_set_text(part, "type", "text");
    json_set_text(part, "text", text);
}

char *chat_body(
    const char *model, const char *text, int scene, int n_views, const char *extra)
{
    static const char *const labels[] = {
        "View first_person:", "View side:", "View overhead:"
    };
    struct json *messages = json_new_array();
    struct json *message = json_add_object(messages);
    json_set_text(message, "role", "user");
    struct json *content = json_set_array(message, "content");
    for (int i = 0; i < n_views; i++) {
        char url[CHAT_URL];
        chat_picture(scene, i, url);
        add_text(content, labels[i % 3]);
        struct json *part = json_add_object(content);
        json_set_text(part, "type", "image_url");
        json_set_text(json_set_object(part, "image_url"), "url", url);
    }
    add_text(content, text);
    struct buffer body;
    buffer_init(&body, 1u << 24);
    (void)buffer_printf(&body, "{\"model\":\"%s\",%s\"messages\":", model, extra);
    enum status status = json_print(messages, JSON_COMPACT, &body, NULL);
    (void)buffer_add_char(&body, '}');
    json_free(messages);
    if (status != OK)
        buffer_release(&body);
    return buffer_detach(&body, NULL);
}
