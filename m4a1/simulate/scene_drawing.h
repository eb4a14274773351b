/* scene_drawing.h - a small multi-view scene set for demonstrations: kitchens with
 * things on a counter, ray traced from three cameras, so that views of one scene really
 * show one scene.  Drawn, not photographed: good for trying the tools, not for science. */
#ifndef M4A1_SIMULATE_SCENE_DRAWING_H
#define M4A1_SIMULATE_SCENE_DRAWING_H

#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/progress.h"

/* Write n scenes as FOLDER/kitchen_NN/{first_person,side,overhead}.jpg.  The same seed
 * gives the same bytes. */
MUST_CHECK enum status scenes_draw(const char *folder, int n, uint64_t seed,
    struct progress *progress, struct error *err);

#endif
