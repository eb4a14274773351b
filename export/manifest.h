/* manifest.h - manifest.json of an export folder: what it holds and how it was made. */
#ifndef EXPORT_MANIFEST_H
#define EXPORT_MANIFEST_H

#include "export/dataset.h"
#include "export/dataset_build.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/json.h"
#include "schema/store.h"

#define EXPORT_DATA_FILE "m4a1.json"
#define EXPORT_MANIFEST_FILE "manifest.json"
#define EXPORT_CARD_FILE "README.md"
#define EXPORT_SPLITS "splits" /* the folder of frozen splits */
#define EXPORT_FORMAT 1        /* "m4a1_export" of the manifest */

/* Build the manifest without its list of files.  data is what is exported, read from
 * store in the snapshot that is open.  Every value comes from the store, none from the
 * clock, so that the same export again has the same bytes. */
MUST_CHECK enum status manifest_build(struct store *store, const struct dataset *data,
    const struct left_out *left, struct json **out, struct error *err);

/* The manifest's member of that name ("splits", "files"), to append to. */
struct json *manifest_list(struct json *manifest, const char *key);

/* Append a file to the manifest's list: name, size, SHA-256. */
MUST_CHECK enum status manifest_add_file(struct json *manifest, const char *name,
    const struct buffer *content, struct error *err);

/* The data card, README.md, of a manifest. */
MUST_CHECK enum status manifest_card(
    const struct json *manifest, struct buffer *out, struct error *err);

/* Put the names and privacy levels of a folder's manifest on data's views.  A folder
 * without a manifest keeps what data has; E_DATA where the manifest is another's. */
MUST_CHECK enum status manifest_views(
    const char *folder, struct dataset *data, struct error *err);

/* Whether the folder holds a manifest of ours. */
int manifest_is_there(const char *folder);

#endif
