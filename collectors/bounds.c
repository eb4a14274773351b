/* bounds.c - see bounds.h. */
#include "collectors/bounds.h"

#include "collectors/ledger.h"
#include "collectors/llm/protocol.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/clock.h"

#define MAX_COMPLAINTS 4096

const char *bounds_missing(const struct llm *llm, int has_cap, int64_t output_pusd)
{
    const struct protocol *p = protocol_find(llm->protocol);
    if (!p || !(has_cap || llm->max_usd > 0) || output_pusd <= 0)
        return NULL;
    return p->max_output_tokens(llm) < 0 ? p->max_tokens_key : NULL;
}

static enum status check_llm(struct store *store, const struct llm *llm, int has_cap,
    struct buffer *out, struct error *err)
{
    struct error why = ERROR_INIT;
    struct price price;
    const struct protocol *p = protocol_find(llm->protocol);
    const char *between = out->len ? "; " : "";
    if (!llm->protocol) // imported: it is never asked
        return OK;
    if (!p) {
        buffer_printf(out, "%sllm %s: unknown protocol \"%s\" (known: %s)", between,
            llm->name, llm->protocol, protocol_names());
        return OK;
    }
    if (protocol_check(p, llm, &why) != OK) {
        buffer_printf(out, "%sllm %s: %s", between, llm->name, why.msg);
        return OK;
    }
    enum status s =
        ledger_dearest(store, llm->llm_id, clock_wall_ms(), INT64_MAX, &price, err);
    const char *key = s ? NULL : bounds_missing(llm, has_cap, price.output_pusd);
    if (key)
        buffer_printf(out, "%sllm %s: " BOUNDS_SENTENCE, between, llm->name, key);
    return s;
}

enum status bounds_check(
    struct store *store, const struct plan_inputs *in, struct error *err)
{
    struct buffer out;
    buffer_init(&out, MAX_COMPLAINTS);
    enum status s = OK;
    for (size_t i = 0; i < in->n_llms && !s; i++)
        s = check_llm(store, &in->llms[i], in->recipe->plan.max_usd >= 0, &out, err);
    if (!s && out.len)
        s = error_set(err, E_ARG,
            "nothing was planned: %s; mend the recipe and run m4a1 init again",
            buffer_str(&out));
    buffer_release(&out);
    return s;
}
