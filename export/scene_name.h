/* scene_name.h - the scene that a session's image paths name. */
#ifndef EXPORT_SCENE_NAME_H
#define EXPORT_SCENE_NAME_H

#include <stddef.h>
#include "m4a1/base/error.h"

/* "Scenario_46_Activity_16" where path i is Scenario_46_Modality_<i>_Activity_16.jpg for
 * every view, else the paths themselves as a JSON array: different paths never share a
 * name.  NULL paths give "unknown".  Owned by the caller; NULL when out of memory. */
MUST_CHECK char *scene_name(char *const *paths, size_t n_views);

#endif
