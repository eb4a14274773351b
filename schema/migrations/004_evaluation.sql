-- Version 4: how often test sessions were looked at.  docs/store.md explains every table
-- and column.

-- One row each time results on test sessions were shown.
CREATE TABLE evaluation_opening (
    opening_id   INTEGER PRIMARY KEY,
    opened_ms    INTEGER NOT NULL,
    split        TEXT NOT NULL,
    test_sha256  TEXT NOT NULL,
    n_sessions   INTEGER NOT NULL CHECK (n_sessions > 0),
    what         TEXT NOT NULL CHECK (json_valid(what))
) STRICT;
CREATE INDEX evaluation_opening_test ON evaluation_opening (test_sha256);
