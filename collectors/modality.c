/* modality.c - the table of kinds, and what they say. */
#include "collectors/modality.h"

#include "m4a1/base/text.h"

static enum status say_label(
    const struct modality_view *view, struct dialogue_message *m, struct error *err)
{
    return dialogue_say(m, text_format("View %s:", view->name), err);
}

/* An image and a sound: the label, then the frame. */
static enum status say_frame(
    const struct modality_view *view, struct dialogue_message *m, struct error *err)
{
    enum status s = say_label(view, m, err);
    return s == OK
               ? dialogue_show(m, view->frames[0].frame, view->frames[0].duration_ms, err)
               : s;
}

/* "View clip, 3 frames, every 0.5 s:"; the step is left out where it is not even. */
static char *clip_label(const struct modality_view *view)
{
    const struct modality_frame *f = view->frames;
    int64_t step = view->n_frames > 1 ? f[1].offset_ms - f[0].offset_ms : 0;
    for (size_t i = 1; i < view->n_frames; i++)
        if (f[i].offset_ms - f[i - 1].offset_ms != step)
            step = 0;
    const char *frames = view->n_frames == 1 ? "frame" : "frames";
    return step > 0 ? text_format("View %s, %zu %s, every %g s:", view->name,
                          view->n_frames, frames, (double)step / 1000)
                    : text_format("View %s, %zu %s:", view->name, view->n_frames, frames);
}

static enum status say_clip(
    const struct modality_view *view, struct dialogue_message *m, struct error *err)
{
    enum status s = dialogue_say(m, clip_label(view), err);
    for (size_t i = 0; s == OK && i < view->n_frames; i++) {
        double at_s = (double)view->frames[i].offset_ms / 1000;
        s = dialogue_say(m, text_format("At %g s:", at_s), err);
        if (s == OK)
            s = dialogue_show(m, view->frames[i].frame, 0, err);
    }
    return s;
}

/* An empty text would be refused by some servers, and tells nothing to the others. */
static enum status say_text(
    const struct modality_view *view, struct dialogue_message *m, struct error *err)
{
    const char *text = view->frames[0].text;
    enum status s = say_label(view, m, err);
    return s == OK ? dialogue_say(m, text_copy(*text ? text : "(empty)"), err) : s;
}

const struct modality modalities[N_VIEW_KINDS] = {
    [VIEW_IMAGE] = { "image/", "an image", 0, say_frame },
    [VIEW_VIDEO] = { "image/", "an image", 0, say_clip },
    [VIEW_TEXT] = { "text/", "a text", 1, say_text },
    [VIEW_AUDIO] = { "audio/", "sound", 0, say_frame },
};
