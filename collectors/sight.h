/* sight.h - what an llm sees of a scene at an instant, put into a message (for
 * dialogue.c). */
#ifndef COLLECTORS_SIGHT_H
#define COLLECTORS_SIGHT_H

#include <stdint.h>
#include "collectors/dialogue.h"
#include "collectors/frame_cache.h"
#include "m4a1/base/error.h"
#include "schema/llm.h"
#include "schema/store.h"

struct sight {
    struct store *store;
    struct frame_cache *cache;
    const struct llm *llm; /* whose eyes; never sent kinds are left out */
    int64_t scene_id, at_ms;
};

/* Put those of a set of views (bits are positions) that the llm is ever sent at the end
 * of m, in order of position, and count them in shown[N_VIEW_KINDS].  E_DATA: a view has
 * no frame at the instant, one of another type than its kind has, or is not there. */
MUST_CHECK enum status sight_add(const struct sight *sight, uint32_t views,
    struct dialogue_message *m, struct dialogue_shown *shown, struct error *err);

#endif
