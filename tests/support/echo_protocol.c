/* echo_protocol.c - Echo, a made-up protocol: POST {base}/echo/MODEL/say.
 *
 * The example of docs/adding-a-protocol.md, which quotes it line by line.  A request is
 *   {"lines": [{"by": "me", "text": "..."}, {"by": "me", "picture": "BASE64"}], "most": 64}
 * and its answer {"echo": "...", "end": "done", "words": {"heard": 12, "said": 3}}, or as
 * a stream {"piece": "..."} in each event and the end and the words in the last one.
 * What goes wrong is {"trouble": "...", "code": "busy"}. */
#include "tests/support/echo_protocol.h"

#include "collectors/llm/reading.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

/* ---- the request ---------------------------------------------------------------- */

static const char *const reserved[] = { "lines", NULL };
static const char *const voices[] = { "low", "high", NULL };

static const struct protocol_option options[] = {
    { "version", "the version of Echo", "1", NULL, 0 },
    { "voice", "how Echo speaks", NULL, voices, 0 },
};

static struct key_use key(const struct llm *llm)
{
    return (
        struct key_use) { .way = KEY_HEADER, .env = llm->key_env, .header = "echo-key" };
}

static int64_t max_output_tokens(const struct llm *llm)
{
    return json_int(json_get(llm->parameters, "most"), -1);
}

static enum status check(const struct llm *llm, struct error *err)
{
    if (max_output_tokens(llm) < 1)
        return error_set(err, E_ARG,
            "llm \"%s\": Echo needs the parameter \"most\", the most words of an answer",
            llm->name);
    return OK;
}

static int add_line(
    struct json *lines, int is_assistant, const struct dialogue_part *part)
{
    struct json *line = json_add_object(lines);
    int ok = json_set_text(line, "by", is_assistant ? "you" : "me") != NULL;
    if (part->frame)
        return ok && protocol_set_frame(line, "picture", part->frame);
    return ok && json_set_text(line, "text", part->text);
}

static int write_request(
    const struct llm *llm, const struct dialogue *d, struct json *root)
{
    int ok = !d->system_prompt || json_set_text(root, "manner", d->system_prompt);
    struct json *lines = json_set_array(root, "lines");
    for (size_t i = 0; ok && i < d->n_messages; i++)
        for (size_t k = 0; ok && k < d->messages[i].n_parts; k++)
            ok = add_line(lines, d->messages[i].is_assistant, &d->messages[i].parts[k]);
    for (const struct json *p = json_first(llm->parameters); ok && p; p = json_next(p))
        ok = json_set_copy(root, json_key(p), p) != NULL;
    return ok && lines != NULL;
}

static const struct frame_form image_form = { "\"picture\":\"", 0 };

/* ---- the answer ----------------------------------------------------------------- */

static void take_words(struct reading *r, const struct json *words)
{
    const struct json *usage = reading_usage(r, words);
    if (!usage)
        return;
    reading_tokens(r, reading_count(json_get(usage, "heard"), TOKENS_UNKNOWN), 0, 0,
        reading_count(json_get(usage, "said"), TOKENS_UNKNOWN), 0);
}

static void take(struct reading *r, const char *event, const struct json *root)
{
    (void)event;
    const char *trouble = json_text(json_get(root, "trouble"), NULL);
    if (trouble) {
        const char *code = json_text(json_get(root, "code"), NULL);
        int status = text_equal(code, "busy") ? 429 : 0;
        reading_error(r, status, code, NULL, trouble);
        return;
    }
    reading_text(r, json_text(json_get(root, "echo"), NULL));
    reading_text(r, json_text(json_get(root, "piece"), NULL));
    take_words(r, json_get(root, "words"));
    const char *end = json_text(json_get(root, "end"), NULL);
    if (!end)
        return;
    reading_keep(r, &r->a->provider_stop, end);
    r->a->stop = text_equal(end, "done")   ? STOP_STOP
                 : text_equal(end, "full") ? STOP_LENGTH
                                           : STOP_OTHER;
    r->has_answer = r->is_done = 1;
}

static enum status parse(
    const struct wire_answer *wire, struct answer *out, struct error *err)
{
    return reading_run(wire, take, "echo-id", 0, out, err);
}

/* ---- the row -------------------------------------------------------------------- */

const struct protocol protocol_echo = {
    .name = "echo",
    .path = "/echo/{model}/say",
    .stream_path = "/echo/{model}/say?pieces=1",
    .headers = "echo-version: {version}\necho-voice: {voice}\n",
    .options = options,
    .n_options = COUNT_OF(options),
    .reserved = reserved,
    .kinds = PROTOCOL_SEES,
    .key = key,
    .check = check,
    .max_output_tokens = max_output_tokens,
    .max_tokens_key = "most",
    .write = write_request,
    .image = &image_form,
    .parse = parse,
};
