/* simulate.c - a simulated server's life and its paths; a request for an answer is seen
 * to in sim_turn.c. */
#include "m4a1/simulate/simulate.h"

#include <stdlib.h>

#include "m4a1/base/text.h"
#include "m4a1/http/http.h"
#include "m4a1/simulate/sim_local.h"
#include "m4a1/simulate/sim_turn.h"

struct simulator {
    struct simulate_options options;
    struct sim_count *count;
    struct http_server *server;
};

static void send_stats(struct simulator *sim, struct http_answer *answer)
{
    struct json *root;
    answer->content_type = "application/json";
    if (simulate_stats(sim, &root, NULL) != OK ||
        json_print(root, JSON_PRETTY, &answer->body, NULL) != OK)
        answer->body.failed = E_NOMEM;
    (void)buffer_add_char(&answer->body, '\n');
    json_free(root);
}

static void send_unknown(const struct http_request *request, struct http_answer *answer)
{
    struct sim_error error;
    sim_refuse(&error, 404, "", "", "Invalid URL (%.20s %.200s)", request->method,
        request->path);
    struct json *root = sim_openai_error(&error, "");
    answer->status = error.status;
    answer->content_type = "application/json";
    if (!root || json_print(root, JSON_COMPACT, &answer->body, NULL) != OK)
        answer->body.failed = E_NOMEM;
    json_free(root);
}

/* Runs in a worker; only the count is shared, and it locks. */
static void simulate_handle(
    void *arg, const struct http_request *request, struct http_answer *answer)
{
    struct simulator *sim = arg;
    struct sim_route route;
    const struct sim_context context = { &sim->options, sim->count };
    const struct sim_protocol *protocol = sim_protocol_find(request->path, &route);
    http_answer_header(answer, "x-m4a1-simulated", "1");
    if (protocol && text_equal(request->method, "POST"))
        sim_turn(&context, protocol, &route, request, answer);
    else if (protocol)
        sim_turn_refuse(protocol, FAIL_METHOD, answer);
    else if (text_equal(request->method, "GET") &&
             text_equal(request->path, "/simulator/stats"))
        send_stats(sim, answer);
    else if (!sim_local(&sim->options, request, answer))
        send_unknown(request, answer);
}

static void simulate_done(void *arg, void *note, enum http_outcome outcome)
{
    struct simulator *sim = arg;
    count_done(sim->count, note, outcome);
}

enum status simulate_start(
    const struct simulate_options *options, struct simulator **out, struct error *err)
{
    *out = NULL;
    struct simulator *sim = calloc(1, sizeof *sim);
    if (!sim)
        return error_nomem(err, sizeof *sim);
    sim->options = *options;
    sim->options.host = NULL; /* not needed any more, and not ours to keep */
    enum status status = count_new(options->recipe, &sim->count, err);
    struct http_options http = { .host = options->host,
        .port = options->port,
        .max_body = SIMULATE_MAX_BODY,
        .handler = simulate_handle,
        .done = simulate_done,
        .arg = sim };
    if (status == OK)
        status = http_server_new(&http, &sim->server, err);
    if (status != OK) {
        simulate_stop(sim);
        return status;
    }
    *out = sim;
    return OK;
}

const char *simulate_url(const struct simulator *simulator)
{
    return http_server_url(simulator->server);
}

uint16_t simulate_port(const struct simulator *simulator)
{
    return http_server_port(simulator->server);
}

enum status simulate_stats(
    struct simulator *simulator, struct json **out, struct error *err)
{
    struct json *root = json_new_object();
    *out = NULL;
    if (!root)
        return error_nomem(err, 64);
    json_set_text(root, "simulator", SIM_FINGERPRINT);
    json_set_text(root, "recipe", simulator->options.recipe->name);
    json_set_int(root, "seed", (int64_t)simulator->options.seed);
    json_set_number(root, "time_scale", simulator->options.time_scale);
    json_set_number(root, "fault_probability", simulator->options.fault_probability);
    count_json(simulator->count, root);
    *out = root;
    return OK;
}

void simulate_stop(struct simulator *simulator)
{
    if (!simulator)
        return;
    http_server_free(simulator->server);
    count_free(simulator->count);
    free(simulator);
}
