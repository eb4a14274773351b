/* checkpoint.h - what a CLIP folder says about itself: config.json and
 * preprocessor_config.json as Hugging Face writes them, and the identity of the model.
 *
 * Members that a file leaves out have the defaults of CLIPTextConfig, CLIPVisionConfig,
 * CLIPConfig and CLIPImageProcessor (transformers 4), which describe
 * openai/clip-vit-base-patch32.  Members that do not change an embedding (dropout,
 * initialiser, token ids, which old files have wrong) are not looked at. */
#ifndef ANNOTATE_CLIP_CHECKPOINT_H
#define ANNOTATE_CLIP_CHECKPOINT_H

#include <stdint.h>
#include "annotate/clip/tensors.h"
#include "annotate/clip/tokenizer.h"
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"

/* Ceilings.  The largest published ViT CLIP (bigG/14) has width 1664, 48 layers, mlp 8192. */
#define CLIP_MAX_WIDTH 8192
#define CLIP_MAX_LAYERS 128
#define CLIP_MAX_MLP 65536
#define CLIP_MAX_VOCAB (1 << 20)
#define CLIP_MAX_IMAGE 1024 /* pixels a side */

enum clip_activation {
    CLIP_QUICK_GELU, /* x * sigmoid(1.702 x) */
    CLIP_GELU,       /* x * Phi(x), by erf */
};

struct clip_tower {
    uint32_t width;    /* of the residual stream */
    uint32_t n_heads;  /* divides width; head width is width / n_heads */
    uint32_t n_layers; /* blocks */
    uint32_t mlp;      /* width between the two linear layers of a block */
    enum clip_activation activation;
    float layer_norm_eps;
};

struct clip_config {
    struct clip_tower text, image;
    uint32_t context;    /* positions of the text tower, 3 to CLIP_CONTEXT */
    uint32_t vocab;      /* rows of the token embedding */
    uint32_t image_size; /* pixels a side, a multiple of patch */
    uint32_t patch;      /* pixels a side; the image tower has (image_size/patch)^2 + 1
                            positions */
    uint32_t projection; /* width of an embedding */
};

struct clip_preparation {
    uint32_t resize;       /* pixels of the shorter side after resizing, >= crop */
    uint32_t crop;         /* pixels a side of the centre crop; equals image_size */
    float mean[3], std[3]; /* R, G, B, of values in [0, 1]; std > 0 */
};

/* Read dir/config.json.  An object text_config_dict or vision_config_dict replaces
 * text_config or vision_config, as in transformers.  E_NOT_FOUND; E_DATA names the file and
 * the field, what was found and what is expected. */
MUST_CHECK enum status checkpoint_config(
    const char *dir, struct clip_config *out, struct error *err);

/* Read dir/preprocessor_config.json in either style (size 224 or {"shortest_edge": 224},
 * crop_size 224 or {"height": 224, "width": 224}).  Anything but PIL's bicubic resizing,
 * centre crop, scaling by 1/255 and normalising is refused with E_DATA by the name of its
 * field, and so is a crop that is not config's image_size. */
MUST_CHECK enum status checkpoint_preparation(const char *dir,
    const struct clip_config *config, struct clip_preparation *out, struct error *err);

/* The identity of a model: SHA-256 over "m4a1 clip 1\n" and the canonical JSON of all that
 * can change an embedding: tensors_sha256(), config, preparation, the hashes of vocab.json
 * and merges.txt (of tokenizer.json where they are absent), precision ("f32" or "bf16").
 * The version in the prefix moves when our own computing changes results. */
MUST_CHECK enum status checkpoint_identity(const char *dir, struct tensors *t,
    const struct clip_config *config, const struct clip_preparation *preparation,
    const char *precision, char out[HASH_HEX], struct error *err);

#endif
