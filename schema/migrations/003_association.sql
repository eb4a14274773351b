-- Version 3: associations are told by model, and the embeddings that they are derived from
-- are kept.  docs/store.md explains every table and column.

-- What gave associations their values, in the order in which it came: the last one is what
-- readers take by default.  identity and dims are those of a CLIP checkpoint, NULL for
-- values that were computed elsewhere.
CREATE TABLE association_model (
    model_id    INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
    identity    TEXT UNIQUE,
    dims        INTEGER CHECK (dims > 0),
    facts       TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(facts)),
    added_ms    INTEGER,
    CHECK ((identity IS NULL) = (dims IS NULL))
) STRICT;

-- Those that cover fewest values first, so that the best covered one is the last.
INSERT INTO association_model (name)
    SELECT model FROM association WHERE model <> '' GROUP BY model ORDER BY count(*), model;

-- What a checkpoint makes of a prompt or a frame: float32, little-endian, not normalised.
-- Prompts with the same text share one row.
CREATE TABLE embedding (
    embedding_id  INTEGER PRIMARY KEY,
    model_id      INTEGER NOT NULL REFERENCES association_model,
    kind          TEXT NOT NULL CHECK (kind IN ('text', 'image')),
    text          TEXT,
    frame_id      INTEGER REFERENCES frame,
    vector        BLOB NOT NULL,
    UNIQUE (model_id, frame_id),
    UNIQUE (model_id, text),
    CHECK ((kind = 'text') = (text IS NOT NULL)),
    CHECK ((kind = 'image') = (frame_id IS NOT NULL))
) STRICT;
CREATE INDEX embedding_frame ON embedding (frame_id);
