/* doctor.c - what can be said without a call; doctor_call.c makes those. */
#include "collectors/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "collectors/doctor_private.h"
#include "collectors/endpoint.h"
#include "collectors/ledger.h"
#include "collectors/llm/fetch.h"
#include "collectors/llm/protocol.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define REACH_NS INT64_C(5000000000)
#define OLD_PRICE_DAYS 120
#define SKEW_MS 60000
#define LITTLE_SPACE 1e9
#define NO_SPACE 1e8

const char *const doctor_state_names[4] = { "ok", "warning", "wrong", "skipped" };

void doctor_result_release(struct doctor_result *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->findings[i].llm);
        free(r->findings[i].what);
        free(r->findings[i].todo);
    }
    free(r->findings);
    *r = (struct doctor_result) { 0 };
}

static int grow(struct doctor_result *r)
{
    struct doctor_finding *more = realloc(r->findings, (r->n + 1) * sizeof *more);
    if (!more)
        return 0;
    r->findings = more;
    r->findings[r->n] = (struct doctor_finding) { 0 };
    return 1;
}

void doctor_note(struct doctor *d, const struct llm *llm, const char *topic,
    enum doctor_state state, const char *todo, const char *fmt, ...)
{
    char what[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    struct doctor_result *r = d->result;
    if (!grow(r)) {
        d->out_of_memory = 1;
        return;
    }
    struct doctor_finding *f = &r->findings[r->n++];
    f->topic = topic;
    f->state = state;
    f->llm = llm ? text_copy(llm->name) : NULL;
    f->order = llm ? (size_t)(llm - d->recipe->llms) + 1 : 0;
    f->what = text_copy(what);
    f->todo = todo ? text_copy(todo) : NULL;
    d->out_of_memory |= !f->what || (llm && !f->llm) || (todo && !f->todo);
    r->n_wrong += state == DOCTOR_WRONG;
    r->n_warnings += state == DOCTOR_WARNING;
}

/* By llm; what was found of one keeps its order. */
static void sort_findings(struct doctor_result *r)
{
    for (size_t i = 1; i < r->n; i++) {
        struct doctor_finding f = r->findings[i];
        size_t k = i;
        for (; k > 0 && r->findings[k - 1].order > f.order; k--)
            r->findings[k] = r->findings[k - 1];
        r->findings[k] = f;
    }
}

/* ---- one llm -------------------------------------------------------------------- */

/* ", 60 requests a minute, 3 USD in all": as far as the recipe says so. */
static void describe_pace(const struct llm *llm, char *out, size_t size)
{
    size_t n = 0;
    *out = '\0';
    if (llm->rpm > 0)
        n += (size_t)snprintf(
            out + n, size - n, ", %lld requests a minute", (long long)llm->rpm);
    if (llm->tpm > 0)
        n += (size_t)snprintf(
            out + n, size - n, ", %lld tokens a minute", (long long)llm->tpm);
    if (llm->max_usd > 0)
        snprintf(out + n, size - n, ", %.4g USD in all", llm->max_usd);
}

static int check_protocol(struct doctor *d, const struct llm *llm)
{
    struct error why = ERROR_INIT;
    const struct protocol *p = protocol_find(llm->protocol);
    if (!p) {
        doctor_note(d, llm, "protocol", DOCTOR_WRONG, "name one that this m4a1 speaks",
            "unknown protocol \"%s\" (known: %s)", llm->protocol, protocol_names());
        return 0;
    }
    if (protocol_check(p, llm, &why) != OK) {
        doctor_note(d, llm, "protocol", DOCTOR_WRONG, "mend the recipe", "%s", why.msg);
        return 0;
    }
    if (p->max_output_tokens(llm) < 0) {
        char advice[120];
        snprintf(advice, sizeof advice, "set %s among its parameters", p->max_tokens_key);
        doctor_note(d, llm, "limits", DOCTOR_WARNING, advice,
            "no bound of its answers' length: with a spending cap it is refused");
        return 0;
    }
    char pace[128];
    describe_pace(llm, pace, sizeof pace);
    doctor_note(d, llm, "limits", DOCTOR_OK, NULL,
        "answers of at most %lld tokens, %d at once, %d attempts, %.0f s%s",
        (long long)p->max_output_tokens(llm), llm->slots, llm->max_attempts,
        llm->timeout_s, pace);
    return 1;
}

static int check_key(struct doctor *d, const struct llm *llm, const struct protocol *p)
{
    struct error why = ERROR_INIT;
    struct key_use key = protocol_key(p, llm);
    if (key_check(&key, &why) != OK) {
        doctor_note(d, llm, "key", DOCTOR_WRONG,
            "export the variable in the shell that runs m4a1", "%s", why.msg);
        return 0;
    }
    if (key_not_searched(&key))
        doctor_note(d, llm, "key", DOCTOR_WARNING,
            "nothing, where the server asks for no real key", "$%s " KEY_NOT_SEARCHED,
            key_not_searched(&key));
    else if (llm->key_env)
        doctor_note(d, llm, "key", DOCTOR_OK, NULL, "$%s is set", llm->key_env);
    else
        doctor_note(d, llm, "key", llm->role == LLM_LOCAL ? DOCTOR_OK : DOCTOR_WARNING,
            llm->role == LLM_LOCAL ? NULL : "name its variable with key_env", "no key");
    return 1;
}

static enum status check_price(
    struct doctor *d, const struct llm *llm, int *ok, struct error *err)
{
    struct price price;
    int64_t now_ms = clock_wall_ms(), llm_id = 0, from_ms = 0;
    *ok = 0;
    enum status s = store_int(d->scratch, 0, &llm_id, err,
        "SELECT llm_id FROM llm WHERE name = ?", "t", llm->name);
    if (s == OK)
        s = ledger_price(d->scratch, llm_id, now_ms, &price, err);
    if (s == OK)
        s = store_int(d->scratch, 0, &from_ms, err,
            "SELECT max(valid_from_ms) FROM price WHERE llm_id = ? AND valid_from_ms <= "
            "?",
            "ii", llm_id, now_ms);
    if (s != OK)
        return s;
    if (!price.is_known) {
        doctor_note(d, llm, "price", DOCTOR_WRONG,
            "add a row to \"prices\" (zeros for a server of your own)",
            "no price for today: its calls are refused");
        return OK;
    }
    char day[24];
    clock_iso8601(from_ms, day, sizeof day);
    int days = (int)((now_ms - from_ms) / 86400000);
    int is_free = !price.input_pusd && !price.output_pusd;
    int is_old = !is_free && days > OLD_PRICE_DAYS;
    *ok = 1;
    doctor_note(d, llm, "price", is_old ? DOCTOR_WARNING : DOCTOR_OK,
        is_old ? "look at the provider's page and add a row with today's date" : NULL,
        "%.4g in, %.4g out, USD a million tokens, from %.10s%s",
        (double)price.input_pusd / 1e6, (double)price.output_pusd / 1e6, day,
        is_old ? " (is it still so?)" : "");
    return OK;
}

static int check_server(struct doctor *d, const struct llm *llm)
{
    struct fetched f;
    struct error why = ERROR_INIT;
    if (!llm->url || !*llm->url) {
        doctor_note(d, llm, "server", DOCTOR_WRONG, "give it a \"url\"", "no address");
        return 0;
    }
    enum status s = fetch(llm->url, NULL, NULL, REACH_NS, &f, &why);
    int64_t skew_ms = f.date_ms < 0 ? 0 : clock_wall_ms() - f.date_ms;
    fetched_release(&f);
    if (s != OK && f.http_status == 0) {
        doctor_note(d, llm, "server", DOCTOR_WRONG,
            llm->role == LLM_LOCAL ? "start it, or mend \"url\""
                                   : "look at \"url\", the network and its proxy",
            "%s", why.msg);
        return 0;
    }
    int is_off = skew_ms > SKEW_MS || skew_ms < -SKEW_MS;
    doctor_note(d, llm, "server", is_off ? DOCTOR_WARNING : DOCTOR_OK,
        is_off ? "set the clock: signatures and prices go by it" : NULL,
        is_off ? "reached; its clock differs by %lld s from this machine's" : "reached",
        (long long)(skew_ms / 1000));
    return 1;
}

static const char *figure(int64_t n, char buf[24])
{
    if (n < 0)
        return "not told";
    snprintf(buf, 24, "%lld", (long long)n);
    return buf;
}

static enum status describe_endpoint(
    struct doctor *d, const struct llm *llm, struct error *err)
{
    struct endpoint_facts f;
    char context[24], slots[24];
    enum status s = endpoint_ask(llm, &f, err);
    if (s == OK && f.server) {
        int is_few = f.slots > 0 && f.slots < llm->slots;
        doctor_note(d, llm, "endpoint", is_few ? DOCTOR_WARNING : DOCTOR_OK,
            is_few ? "set \"slots\" to what the server answers at once" : NULL,
            "%s %s, %.24s %s, context %s, slots %s", f.server, f.build ? f.build : "",
            f.model_digest ? f.model_digest : "model not found",
            f.quantisation ? f.quantisation : "", figure(f.context_tokens, context),
            figure(f.slots, slots));
    }
    endpoint_facts_release(&f);
    return s;
}

static enum status check_llm(struct doctor *d, size_t i, struct error *err)
{
    const struct llm *llm = &d->recipe->llms[i];
    int is_priced = 0;
    int ok = check_protocol(d, llm);
    const struct protocol *p = protocol_find(llm->protocol);
    int has_key = p && check_key(d, llm, p);
    enum status s = check_price(d, llm, &is_priced, err);
    if (s != OK)
        return s;
    int is_there = check_server(d, llm);
    if (is_there && llm->role == LLM_LOCAL)
        s = describe_endpoint(d, llm, err);
    d->is_callable[i] = (char)(ok && has_key && is_priced && is_there);
    if (!d->is_callable[i] && d->o->with_calls)
        doctor_note(d, llm, "call", DOCTOR_SKIPPED, NULL, "not tried: see above");
    return s;
}

static void check_space(struct doctor *d)
{
    struct statvfs v;
    char text[32];
    const char *todo = "free space, or put the store elsewhere";
    if (!d->o->folder || statvfs(d->o->folder, &v) != 0)
        return;
    double left = (double)v.f_bavail * (double)v.f_frsize;
    enum doctor_state state = left < NO_SPACE       ? DOCTOR_WRONG
                              : left < LITTLE_SPACE ? DOCTOR_WARNING
                                                    : DOCTOR_OK;
    doctor_note(d, NULL, "disk", state, state == DOCTOR_OK ? NULL : todo, "%s free",
        text_bytes(left, text, sizeof text));
}

/* ---- the scratch store ---------------------------------------------------------- */

static void remove_folder(const char *folder)
{
    char **names = NULL;
    size_t n = 0;
    if (folder_list(folder, &names, &n, NULL) == OK)
        for (size_t i = 0; i < n; i++) {
            char *path = path_join(folder, names[i]);
            if (path)
                unlink(path);
            free(path);
        }
    folder_list_free(names, n);
    rmdir(folder);
}

static enum status open_scratch(struct doctor *d, char *folder, struct error *err)
{
    if (!mkdtemp(folder)) {
        *folder = '\0';
        return error_errno(err, "cannot make a scratch folder");
    }
    char *path = path_join(folder, "doctor.m4a1");
    enum status s =
        path ? store_create(path, "doctor", &d->scratch, err) : error_nomem(err, 1);
    free(path);
    return s == OK ? recipe_apply(d->scratch, d->recipe, err) : s;
}

enum status doctor_run(const struct recipe *recipe, const struct doctor_options *o,
    struct doctor_result *out, struct error *err)
{
    *out = (struct doctor_result) { 0 };
    struct doctor d = { .recipe = recipe, .o = o, .result = out };
    const char *base = getenv("TMPDIR");
    char *folder = text_format("%s/m4a1-doctor-XXXXXX", base && *base ? base : "/tmp");
    d.is_callable = calloc(recipe->n_llms ? recipe->n_llms : 1, 1);
    enum status s = folder && d.is_callable ? OK : error_nomem(err, recipe->n_llms);
    if (s == OK)
        s = open_scratch(&d, folder, err);
    check_space(&d);
    for (size_t i = 0; s == OK && i < recipe->n_llms; i++)
        s = check_llm(&d, i, err);
    if (s == OK && o->with_calls)
        s = doctor_call_all(&d, err);
    if (s == OK && d.out_of_memory)
        s = error_nomem(err, 1);
    sort_findings(out);
    store_close(d.scratch);
    if (folder && *folder)
        remove_folder(folder);
    free(folder);
    free(d.is_callable);
    if (s != OK)
        doctor_result_release(out);
    return s;
}
