/* view.h - what a view can be. */
#ifndef SCHEMA_VIEW_H
#define SCHEMA_VIEW_H

/* An image; frames sampled from a video; a text (a sensor log, an OCR line); sound. */
enum view_kind { VIEW_IMAGE, VIEW_VIDEO, VIEW_TEXT, VIEW_AUDIO };
#define N_VIEW_KINDS 4
extern const char *const view_kind_names[N_VIEW_KINDS]; /* "image", "video", ... */

#endif
