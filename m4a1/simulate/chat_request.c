/* chat_request.c - one pass over the body: check, collect, hash. */
#include "m4a1/simulate/chat_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/picture_size.h"

#define TEXT_MAX (4u << 20) /* bytes of text of one message */

int chat_refuse(struct chat_error *error, int status, const char *code, const char *param,
    const char *fmt, ...)
{
    memset(error, 0, sizeof *error);
    error->status = status;
    snprintf(error->type, sizeof error->type, "%s",
        status >= 500 ? "server_error" : "invalid_request_error");
    snprintf(error->code, sizeof error->code, "%s", code);
    snprintf(error->param, sizeof error->param, "%s", param);
    va_list args;
    va_start(args, fmt);
    vsnprintf(error->message, sizeof error->message, fmt, args);
    va_end(args);
    /* A name that was quoted may have been cut inside a character. */
    error->message[text_utf8_valid(error->message, strlen(error->message))] = '\0';
    return 0;
}

static void set_or_null(struct json *object, const char *key, const char *s)
{
    if (*s)
        json_set_text(object, key, s);
    else
        json_set_null(object, key);
}

enum status chat_error_print(
    const struct chat_error *error, struct buffer *out, struct error *err)
{
    struct json *root = json_new_object();
    struct json *body = json_set_object(root, "error");
    json_set_text(body, "message", error->message);
    json_set_text(body, "type", error->type);
    set_or_null(body, "param", error->param);
    set_or_null(body, "code", error->code);
    enum status status =
        root ? json_print(root, JSON_PRETTY, out, err) : error_nomem(err, 64);
    json_free(root);
    return status;
}

/* --- images --- */

/* The base64 part of a data URL of an image, or NULL. */
static const char *data_url_payload(const char *url)
{
    static const char *const kinds[] = { "data:image/jpeg;base64,",
        "data:image/jpg;base64,", "data:image/png;base64,", "data:image/gif;base64,",
        "data:image/webp;base64," };
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (text_starts(url, kinds[i]))
            return url + strlen(kinds[i]);
    return NULL;
}

static int image_decode(const char *url, const char *param, struct chat_image *image,
    struct chat_error *error)
{
    if (text_starts(url, "http://") || text_starts(url, "https://"))
        return chat_refuse(error, 400, "invalid_image_url", param,
            "The simulator fetches nothing: send the image as a data URL.");
    const char *payload = data_url_payload(url);
    if (!payload)
        return chat_refuse(error, 400, "invalid_image_url", param,
            "Invalid image URL: expected a base64-encoded data URL with an image MIME "
            "type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), found '%.40s'.",
            url);
    size_t len = strlen(payload), n = 0;
    uint8_t *bytes = malloc(len / 4 * 3 + 1);
    if (!bytes)
        return chat_refuse(error, 500, "", "", "The simulator is out of memory.");
    int ok = 0;
    if (!len || base64_decode(payload, len, bytes, &n, NULL) != OK)
        chat_refuse(error, 400, "invalid_base64_image", param,
            "Invalid base64 image: %zu characters that are not canonical base64.", len);
    else if (!picture_size(bytes, n, &image->width_px, &image->height_px))
        chat_refuse(error, 400, "image_parse_error", param,
            "You uploaded an unsupported image (%zu bytes). Please make sure your image "
            "has one of the following formats: ['png', 'jpeg', 'gif', 'webp'].",
            n);
    else
        ok = 1;
    if (ok)
        hash_hex(bytes, n, image->hash);
    free(bytes);
    return ok;
}

static int image_read(struct chat_request *request, const struct json *part,
    const char *label, const char *where, struct chat_error *error)
{
    char param[128];
    snprintf(param, sizeof param, "%s.image_url", where);
    const struct json *object = json_get(part, "image_url");
    if (!json_is_object(object))
        return chat_refuse(error, 400, "invalid_type", param,
            "Invalid type for '%s': expected an object with a url.", param);
    snprintf(param, sizeof param, "%s.image_url.url", where);
    const struct json *url = json_get(object, "url");
    if (!json_is_string(url))
        return chat_refuse(error, 400,
            url ? "invalid_type" : "missing_required_parameter", param,
            "Invalid or missing '%s': expected a string.", param);
    const struct json *detail = json_get(object, "detail");
    const char *level = json_text(detail, detail ? "" : "auto");
    if (!text_equal(level, "auto") && !text_equal(level, "low") &&
        !text_equal(level, "high")) {
        snprintf(param, sizeof param, "%s.image_url.detail", where);
        return chat_refuse(error, 400, "invalid_value", param,
            "Invalid value for '%s': supported values are 'low', 'high' and 'auto'.",
            param);
    }
    if (request->n_images == CHAT_MAX_IMAGES)
        return chat_refuse(error, 400, "too_many_images", param,
            "Too many images: at most %d in one request.", CHAT_MAX_IMAGES);
    struct chat_image *images =
        realloc(request->images, (request->n_images + 1) * sizeof *images);
    if (!images)
        return chat_refuse(error, 500, "", "", "The simulator is out of memory.");
    request->images = images;
    struct chat_image *image = &images[request->n_images];
    memset(image, 0, sizeof *image);
    image->low_detail = text_equal(level, "low");
    image->label = label;
    if (!image_decode(json_text(url, ""), param, image, error))
        return 0;
    request->n_images++;
    return 1;
}

/* --- messages --- */

static int part_read(struct chat_request *request, struct chat_message *message,
    const struct json *part, const char **label, struct buffer *text, const char *where,
    struct chat_error *error)
{
    const char *type = json_text(json_get(part, "type"), "");
    if (text_equal(type, "text")) {
        const struct json *value = json_get(part, "text");
        if (!json_is_string(value))
            return chat_refuse(error, 400, "invalid_type", where,
                "Invalid type for '%s.text': expected a string.", where);
        *label = json_text(value, "");
        if (text->len)
            (void)buffer_add_char(text, '\n');
        (void)buffer_add_str(text, *label);
        return 1;
    }
    if (!text_equal(type, "image_url"))
        return chat_refuse(error, 400, "invalid_value", where,
            "Invalid value for '%s.type': '%.40s'. Supported values are 'text' and "
            "'image_url'.",
            where, type);
    if (!text_equal(message->role, "user"))
        return chat_refuse(error, 400, "invalid_value", where,
            "Invalid content at '%s': only user messages may hold images.", where);
    if (!image_read(request, part, *label, where, error))
        return 0;
    *label = "";
    message->n_images++;
    return 1;
}

static int content_read(struct chat_request *request, struct chat_message *message,
    const struct json *content, size_t i, struct buffer *text, struct chat_error *error)
{
    char where[64];
    if (json_is_string(content)) {
        (void)buffer_add_str(text, json_text(content, ""));
        return 1;
    }
    snprintf(where, sizeof where, "messages[%zu].content", i);
    if (json_is_null(content) && text_equal(message->role, "assistant"))
        return 1;
    if (!json_is_array(content) || !json_size(content))
        return chat_refuse(error, 400,
            content ? "invalid_type" : "missing_required_parameter", where,
            "Invalid or missing '%s': expected a string or an array of parts.", where);
    const char *label = "";
    size_t k = 0;
    for (const struct json *part = json_first(content); part;
         part = json_next(part), k++) {
        snprintf(where, sizeof where, "messages[%zu].content[%zu]", i, k);
        if (!part_read(request, message, part, &label, text, where, error))
            return 0;
    }
    return 1;
}

static int message_read(struct chat_request *request, const struct json *item, size_t i,
    struct chat_error *error)
{
    static const char *const roles[] = { "system", "developer", "user", "assistant" };
    struct chat_message *message = &request->messages[request->n_messages++];
    const char *role = json_text(json_get(item, "role"), "");
    char param[64];
    snprintf(param, sizeof param, "messages[%zu].role", i);
    for (size_t k = 0; k < COUNT_OF(roles); k++)
        if (text_equal(role, roles[k]))
            message->role = roles[k];
    if (!message->role)
        return chat_refuse(error, 400, "invalid_value", param,
            "Invalid value for '%s': '%.40s'. Supported values are 'system', "
            "'developer', 'user' and 'assistant'.",
            param, role);
    struct buffer text;
    buffer_init(&text, TEXT_MAX);
    int ok = content_read(request, message, json_get(item, "content"), i, &text, error);
    if (ok && text.failed != OK)
        ok = chat_refuse(error, 400, "string_above_max_length", param,
            "Message %zu is longer than %u bytes.", i, TEXT_MAX);
    message->text = buffer_detach(&text, NULL);
    return ok;
}

static int messages_read(struct chat_request *request, struct chat_error *error)
{
    const struct json *messages = json_get(request->body, "messages");
    if (!messages)
        return chat_refuse(error, 400, "missing_required_parameter", "messages",
            "Missing required parameter: 'messages'.");
    if (!json_is_array(messages))
        return chat_refuse(error, 400, "invalid_type", "messages",
            "Invalid type for 'messages': expected an array of objects.");
    size_t n = json_size(messages), i = 0;
    if (!n || n > CHAT_MAX_MESSAGES)
        return chat_refuse(error, 400, n ? "array_above_max_length" : "empty_array",
            "messages", "Invalid 'messages': expected 1 to %d messages, found %zu.",
            CHAT_MAX_MESSAGES, n);
    request->messages = calloc(n, sizeof *request->messages);
    if (!request->messages)
        return chat_refuse(error, 500, "", "", "The simulator is out of memory.");
    for (const struct json *item = json_first(messages); item; item = json_next(item))
        if (!message_read(request, item, i++, error))
            return 0;
    return 1;
}

/* --- the other members --- */

static int range_check(const struct json *body, const char *key, double min, double max,
    struct chat_error *error)
{
    const struct json *value = json_get(body, key);
    if (!value || json_is_null(value))
        return 1;
    if (!json_is_number(value))
        return chat_refuse(error, 400, "invalid_type", key,
            "Invalid type for '%s': expected a number.", key);
    double x = json_number(value, 0);
    if (x < min || x > max)
        return chat_refuse(error, 400,
            x < min ? "decimal_below_min_value" : "decimal_above_max_value", key,
            "Invalid '%s': expected a value from %g to %g, but got %g instead.", key, min,
            max, x);
    return 1;
}

static int limit_read(struct chat_request *request, struct chat_error *error)
{
    static const char *const keys[] = { "max_tokens", "max_completion_tokens" };
    int n_given = 0;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const struct json *value = json_get(request->body, keys[i]);
        if (!value)
            continue;
        n_given++;
        if (!json_is_int(value) || json_int(value, 0) < 1)
            return chat_refuse(error, 400, "invalid_type", keys[i],
                "Invalid value for '%s': expected a whole number of at least 1.",
                keys[i]);
        request->max_tokens = json_int(value, 0);
    }
    if (n_given == 2)
        return chat_refuse(error, 400, "invalid_parameter_combination", "max_tokens",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not "
            "supported.");
    return 1;
}

static int flags_read(struct chat_request *request, struct chat_error *error)
{
    const struct json *stream = json_get(request->body, "stream");
    if (stream && !json_is_bool(stream) && !json_is_null(stream))
        return chat_refuse(error, 400, "invalid_type", "stream",
            "Invalid type for 'stream': expected a boolean.");
    request->stream = json_bool(stream, 0);
    const struct json *options = json_get(request->body, "stream_options");
    if (options && !json_is_null(options)) {
        if (!request->stream)
            return chat_refuse(error, 400, "", "stream_options",
                "The 'stream_options' parameter is only allowed when 'stream' is "
                "enabled.");
        request->include_usage = json_bool(json_get(options, "include_usage"), 0);
    }
    return range_check(request->body, "temperature", 0, 2, error) &&
           range_check(request->body, "top_p", 0, 1, error) &&
           range_check(request->body, "n", 1, 1, error) && limit_read(request, error);
}

/* The members left out here are listed in the header. */
static int identify(struct chat_request *request, struct chat_error *error)
{
    static const char *const ignored[] = { "stream", "stream_options", "user", "metadata",
        "store", "service_tier", "safety_identifier", "prompt_cache_key" };
    for (size_t i = 0; i < COUNT_OF(ignored); i++)
        json_remove(request->body, ignored[i]);
    struct buffer text;
    buffer_init(&text, SIZE_MAX / 2);
    int ok = json_print(request->body, JSON_CANONICAL, &text, NULL) == OK;
    if (ok)
        hash_hex(text.data, text.len, request->identity);
    else
        chat_refuse(error, 500, "", "", "The simulator is out of memory.");
    buffer_release(&text);
    return ok;
}

int chat_request_parse(
    const char *body, size_t len, struct chat_request *out, struct chat_error *error)
{
    memset(out, 0, sizeof *out);
    memset(error, 0, sizeof *error);
    struct error err = ERROR_INIT;
    enum status status = json_parse(body, len, "body", 0, &out->body, &err);
    if (status != OK || !json_is_object(out->body))
        return chat_refuse(error, 400, "", "",
            "We could not parse the JSON body of your request: %.300s",
            status != OK ? err.msg : "expected an object");
    const struct json *model = json_get(out->body, "model");
    if (!json_is_string(model) || !*json_text(model, ""))
        return chat_refuse(error, 400, model ? "invalid_type" : "", "model",
            "you must provide a model parameter");
    out->model = json_text(model, "");
    return flags_read(out, error) && messages_read(out, error) && identify(out, error);
}

void chat_request_release(struct chat_request *request)
{
    for (size_t i = 0; i < request->n_messages; i++)
        free(request->messages[i].text);
    free(request->messages);
    free(request->images);
    json_free(request->body);
    memset(request, 0, sizeof *request);
}

const char *chat_request_question(const struct chat_request *request)
{
    for (size_t i = request->n_messages; i-- > 0;)
        if (text_equal(request->messages[i].role, "user"))
            return request->messages[i].text ? request->messages[i].text : "";
    return "";
}
