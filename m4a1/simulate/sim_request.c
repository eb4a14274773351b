/* sim_request.c - parse, collect, hash; what a protocol means is in its own file. */
#include "m4a1/simulate/sim_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/picture_size.h"

#define TEXT_MAX (4u << 20) /* bytes of text of one message */

int sim_refuse(struct sim_error *error, int status, const char *code, const char *param,
    const char *fmt, ...)
{
    memset(error, 0, sizeof *error);
    error->status = status;
    error->retry_ms = -1;
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
    error->param[text_utf8_valid(error->param, strlen(error->param))] = '\0';
    return 0;
}

static int no_memory(struct sim_error *error)
{
    return sim_refuse(error, 500, "", "", "The simulator is out of memory.");
}

int sim_request_parse(
    const char *body, size_t len, struct sim_request *out, struct sim_error *error)
{
    struct error err = ERROR_INIT;
    memset(out, 0, sizeof *out);
    out->label = out->view = "";
    enum status status = json_parse(body, len, "body", 0, &out->body, &err);
    if (status == OK && json_is_object(out->body))
        return 1;
    return sim_refuse(error, 400, "", "",
        "We could not parse the JSON body of your request: %.300s",
        status != OK ? err.msg : "expected an object");
}

void sim_request_release(struct sim_request *request)
{
    for (size_t i = 0; i < request->n_messages; i++)
        buffer_release(&request->messages[i].text);
    free(request->messages);
    free(request->images);
    json_free(request->body);
    memset(request, 0, sizeof *request);
}

/* --- messages and texts --- */

int sim_request_message(
    struct sim_request *request, const char *role, struct sim_error *error)
{
    size_t n = request->n_messages;
    if (n == SIM_MAX_MESSAGES)
        return sim_refuse(error, 400, "array_above_max_length", "messages",
            "Invalid 'messages': expected at most %d messages.", SIM_MAX_MESSAGES);
    /* Grown at powers of two. */
    if (!(n & (n - 1))) {
        struct sim_message *messages =
            realloc(request->messages, (n ? 2 * n : 1) * sizeof *messages);
        if (!messages)
            return no_memory(error);
        request->messages = messages;
    }
    struct sim_message *message = &request->messages[request->n_messages++];
    memset(message, 0, sizeof *message);
    message->role = role;
    buffer_init(&message->text, TEXT_MAX);
    request->label = request->view = "";
    return 1;
}

int sim_request_text(
    struct sim_request *request, const char *text, struct sim_error *error)
{
    struct buffer *all = &request->messages[request->n_messages - 1].text;
    if (all->len)
        (void)buffer_add_char(all, '\n');
    (void)buffer_add_str(all, text);
    request->n_texts++;
    if (text_starts(text, "View "))
        request->view = text;
    int is_frame = *request->view && text_starts(text, "At ") && text_ends(text, " s:");
    request->label = is_frame ? request->view : text;
    if (all->failed == OK)
        return 1;
    if (all->failed == E_NOMEM)
        return no_memory(error);
    return sim_refuse(error, 400, "string_above_max_length", "messages",
        "Message %zu is longer than %u bytes.", request->n_messages - 1, TEXT_MAX);
}

const char *sim_message_text(const struct sim_message *message)
{
    return buffer_str(&message->text);
}

const char *sim_request_question(const struct sim_request *request)
{
    for (size_t i = request->n_messages; i-- > 0;)
        if (text_equal(request->messages[i].role, "user"))
            return sim_message_text(&request->messages[i]);
    return "";
}

/* --- images --- */

static int bytes_check(const uint8_t *bytes, size_t n, const char *media_type,
    const struct sim_image_rules *rules, const char *param, struct sim_image *image,
    struct sim_error *error)
{
    if (!picture_size(bytes, n, &image->width_px, &image->height_px))
        return sim_refuse(error, 400, "image_parse_error", param,
            "You uploaded an unsupported image (%zu bytes). Please make sure your image "
            "has one of the following formats: ['png', 'jpeg', 'gif', 'webp'].",
            n);
    if (media_type && !text_equal(media_type, picture_type(bytes, n)))
        return sim_refuse(error, 400, "", param,
            "%s: Image does not match the provided media type %.40s", param, media_type);
    if (rules && rules->max_bytes && n > rules->max_bytes)
        return sim_refuse(error, 400, "", param,
            "%s: image exceeds the maximum of %zu bytes: %zu bytes", param,
            rules->max_bytes, n);
    if (rules && rules->max_side_px &&
        (image->width_px > rules->max_side_px || image->height_px > rules->max_side_px))
        return sim_refuse(error, 400, "", param,
            "%s: image dimensions exceed the maximum of %d pixels: %d x %d", param,
            rules->max_side_px, image->width_px, image->height_px);
    return 1;
}

static int image_decode(const char *base64, const char *media_type,
    const struct sim_image_rules *rules, const char *param, struct sim_image *image,
    struct sim_error *error)
{
    size_t len = strlen(base64), n = 0;
    uint8_t *bytes = malloc(len / 4 * 3 + 1);
    if (!bytes)
        return no_memory(error);
    int ok = 0;
    if (!len || base64_decode(base64, len, bytes, &n, NULL) != OK)
        sim_refuse(error, 400, "invalid_base64_image", param,
            "Invalid base64 image: %zu characters that are not canonical base64.", len);
    else
        ok = bytes_check(bytes, n, media_type, rules, param, image, error);
    if (ok)
        hash_hex(bytes, n, image->hash);
    free(bytes);
    return ok;
}

int sim_request_image(struct sim_request *request, const char *base64,
    const char *media_type, const struct sim_image_rules *rules, const char *param,
    struct sim_error *error)
{
    size_t n = request->n_images;
    size_t most = rules && rules->max_images ? rules->max_images : SIM_MAX_IMAGES;
    if (n >= most)
        return sim_refuse(error, 400, "too_many_images", param,
            "Too many images: at most %zu in one request.", most);
    if (!(n & (n - 1))) {
        struct sim_image *images =
            realloc(request->images, (n ? 2 * n : 1) * sizeof *images);
        if (!images)
            return no_memory(error);
        request->images = images;
    }
    struct sim_image *image = &request->images[n];
    memset(image, 0, sizeof *image);
    image->label = request->label;
    if (!image_decode(base64, media_type, rules, param, image, error))
        return 0;
    request->label = "";
    request->n_images++;
    request->messages[request->n_messages - 1].n_images++;
    return 1;
}

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

int sim_request_data_url(struct sim_request *request, const char *url, int low_detail,
    const char *param, struct sim_error *error)
{
    if (text_starts(url, "http://") || text_starts(url, "https://"))
        return sim_refuse(error, 400, "invalid_image_url", param,
            "The simulator fetches nothing: send the image as a data URL.");
    const char *payload = data_url_payload(url);
    if (!payload)
        return sim_refuse(error, 400, "invalid_image_url", param,
            "Invalid image URL: expected a base64-encoded data URL with an image MIME "
            "type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), found '%.40s'.",
            url);
    if (!sim_request_image(request, payload, NULL, NULL, param, error))
        return 0;
    request->images[request->n_images - 1].low_detail = low_detail;
    return 1;
}

/* --- the other members --- */

int sim_request_model(struct sim_request *request, struct sim_error *error)
{
    const struct json *model = json_get(request->body, "model");
    if (!json_is_string(model) || !*json_text(model, ""))
        return sim_refuse(error, 400, model ? "invalid_type" : "", "model",
            "you must provide a model parameter");
    request->model = json_text(model, "");
    return 1;
}

int sim_range_check(const struct json *object, const char *key, double min, double max,
    const char *param, struct sim_error *error)
{
    const struct json *value = json_get(object, key);
    if (!value || json_is_null(value))
        return 1;
    if (!json_is_number(value))
        return sim_refuse(error, 400, "invalid_type", param,
            "Invalid type for '%s': expected a number.", param);
    double x = json_number(value, 0);
    if (x < min || x > max)
        return sim_refuse(error, 400,
            x < min ? "decimal_below_min_value" : "decimal_above_max_value", param,
            "Invalid '%s': expected a value from %g to %g, but got %g instead.", param,
            min, max, x);
    return 1;
}

int sim_limit_read(struct sim_request *request, const struct json *object,
    const char *key, const char *param, struct sim_error *error)
{
    const struct json *value = json_get(object, key);
    if (!value)
        return 1;
    if (!json_is_int(value) || json_int(value, 0) < 1)
        return sim_refuse(error, 400, "invalid_type", param,
            "Invalid value for '%s': expected a whole number of at least 1.", param);
    request->max_tokens = json_int(value, 0);
    return 1;
}

int sim_stream_read(struct sim_request *request, struct sim_error *error)
{
    const struct json *stream = json_get(request->body, "stream");
    if (stream && !json_is_bool(stream) && !json_is_null(stream))
        return sim_refuse(error, 400, "invalid_type", "stream",
            "Invalid type for 'stream': expected a boolean.");
    request->stream = json_bool(stream, request->stream);
    return 1;
}

int sim_request_identify(struct sim_request *request, const char *scope,
    const char *const *ignored, struct sim_error *error)
{
    for (size_t i = 0; ignored[i]; i++)
        json_remove(request->body, ignored[i]);
    struct buffer text;
    buffer_init(&text, SIZE_MAX / 2);
    if (*scope)
        (void)buffer_printf(&text, "%s\n%s\n", scope, request->model);
    int ok = json_print(request->body, JSON_CANONICAL, &text, NULL) == OK;
    if (ok)
        hash_hex(text.data, text.len, request->identity);
    else
        no_memory(error);
    buffer_release(&text);
    return ok;
}
