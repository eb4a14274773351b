/* clip_options.h - the options of every verb that opens a CLIP checkpoint. */
#ifndef M4A1_CLI_CLIP_OPTIONS_H
#define M4A1_CLI_CLIP_OPTIONS_H

#include "annotate/clip/clip.h"
#include "m4a1/cli/cli.h"

#define CLIP_OPTIONS                                                                     \
    { "clip", "DIR", "the checkpoint's folder" },                                        \
        { "precision", "P",                                                              \
            "f32 (default), or bf16: faster where the processor has it" },               \
    {                                                                                    \
        "threads", "N", "computing threads (default: one a processor)"                   \
    }

/* A usage error where --clip is missing or a value is wrong. */
MUST_CHECK enum status clip_options_read(
    struct cli *cli, struct clip_options *out, struct error *err);

#endif
