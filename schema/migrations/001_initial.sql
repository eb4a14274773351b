-- The M4A1 store, version 1.  docs/store.md explains every table and column.
-- Sets of views are bit masks: bit i stands for the view with position i.

CREATE TABLE store (
    store_id    INTEGER PRIMARY KEY CHECK (store_id = 1),
    name        TEXT NOT NULL,
    created_ms  INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    licence     TEXT,
    consent     TEXT
) STRICT;

CREATE TABLE recipe (
    recipe_id   INTEGER PRIMARY KEY,
    sha256      TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    text        TEXT NOT NULL,
    loaded_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE view (
    view_id     INTEGER PRIMARY KEY,
    position    INTEGER NOT NULL UNIQUE CHECK (position BETWEEN 0 AND 31),
    name        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL CHECK (kind IN ('image', 'video', 'text', 'audio')),
    privacy     INTEGER NOT NULL CHECK (privacy >= 0),
    retired_ms  INTEGER
) STRICT;

CREATE TABLE task (
    task_id     INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE prompt (
    prompt_id   INTEGER PRIMARY KEY,
    task_id     INTEGER NOT NULL REFERENCES task,
    name        TEXT UNIQUE,
    text        TEXT NOT NULL,
    needs       TEXT NOT NULL DEFAULT '[]',
    retired_ms  INTEGER,
    UNIQUE (task_id, text)
) STRICT;

CREATE TABLE llm (
    llm_id      INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    identity    TEXT NOT NULL,
    role        TEXT NOT NULL CHECK (role IN ('local', 'cloud', 'reference', 'judge')),
    protocol    TEXT,
    endpoint    TEXT,
    model       TEXT,
    facts       TEXT NOT NULL,
    settings    TEXT NOT NULL DEFAULT '{}',
    retired_ms  INTEGER,
    UNIQUE (identity, role)
) STRICT;

CREATE TABLE price (
    price_id          INTEGER PRIMARY KEY,
    llm_id            INTEGER NOT NULL REFERENCES llm,
    valid_from_ms     INTEGER NOT NULL,
    input_pusd        INTEGER NOT NULL CHECK (input_pusd >= 0),
    cache_read_pusd   INTEGER NOT NULL CHECK (cache_read_pusd >= 0),
    cache_write_pusd  INTEGER NOT NULL CHECK (cache_write_pusd >= 0),
    output_pusd       INTEGER NOT NULL CHECK (output_pusd >= 0),
    source            TEXT NOT NULL,
    UNIQUE (llm_id, valid_from_ms)
) STRICT;

CREATE TABLE scene (
    scene_id    INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    tags        TEXT NOT NULL DEFAULT '[]',
    licence     TEXT,
    consent     TEXT
) STRICT;

CREATE TABLE frame (
    frame_id    INTEGER PRIMARY KEY,
    sha256      TEXT NOT NULL UNIQUE,
    media_type  TEXT NOT NULL,
    width_px    INTEGER NOT NULL,
    height_px   INTEGER NOT NULL,
    bytes       BLOB NOT NULL
) STRICT;

-- One view of a scene at one instant.  Imported scenes may have no frame.
CREATE TABLE scene_frame (
    scene_id    INTEGER NOT NULL REFERENCES scene,
    view_id     INTEGER NOT NULL REFERENCES view,
    at_ms       INTEGER NOT NULL,
    frame_id    INTEGER REFERENCES frame,
    source      TEXT NOT NULL,
    PRIMARY KEY (scene_id, at_ms, view_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX scene_frame_frame ON scene_frame (frame_id);

CREATE TABLE plan (
    plan_id     INTEGER PRIMARY KEY,
    recipe_id   INTEGER NOT NULL REFERENCES recipe,
    created_ms  INTEGER NOT NULL,
    behaviour   TEXT NOT NULL,
    seed        INTEGER NOT NULL,
    settings    TEXT NOT NULL
) STRICT;

CREATE TABLE session (
    session_id  INTEGER PRIMARY KEY,
    identity    TEXT NOT NULL UNIQUE,
    scene_id    INTEGER NOT NULL REFERENCES scene,
    at_ms       INTEGER NOT NULL,
    plan_id     INTEGER REFERENCES plan,
    plan_index  INTEGER,
    source_id   INTEGER
) STRICT;
CREATE INDEX session_scene ON session (scene_id);
CREATE INDEX session_plan ON session (plan_id);

CREATE TABLE turn (
    turn_id     INTEGER PRIMARY KEY,
    session_id  INTEGER NOT NULL REFERENCES session,
    position    INTEGER NOT NULL CHECK (position >= 0),
    prompt_id   INTEGER NOT NULL REFERENCES prompt,
    UNIQUE (session_id, position)
) STRICT;

-- text is what a judge is asked, whole; NULL means the turn's prompt behind the history
-- that parent_id stands for.  subject_id is the call that is judged.
CREATE TABLE call (
    call_id         INTEGER PRIMARY KEY,
    identity        TEXT NOT NULL UNIQUE,
    turn_id         INTEGER NOT NULL REFERENCES turn,
    purpose         TEXT NOT NULL CHECK (purpose IN
                        ('path', 'fan_out', 'reference', 'judge', 'pairwise', 'check', 'agent')),
    llm_id          INTEGER NOT NULL REFERENCES llm,
    parent_id       INTEGER REFERENCES call (call_id),
    subject_id      INTEGER REFERENCES call (call_id),
    sample          INTEGER NOT NULL DEFAULT 0,
    text            TEXT,
    views_added     INTEGER NOT NULL DEFAULT 0,
    views_context   INTEGER NOT NULL DEFAULT 0,
    probability     REAL CHECK (probability > 0 AND probability <= 1),
    eligible        TEXT,
    block           INTEGER NOT NULL DEFAULT 0,
    CHECK (views_context & views_added = views_added)
) STRICT;
CREATE INDEX call_turn ON call (turn_id, purpose);
CREATE INDEX call_parent ON call (parent_id);
CREATE INDEX call_subject ON call (subject_id);
CREATE INDEX call_llm ON call (llm_id);
CREATE UNIQUE INDEX call_one_path ON call (turn_id) WHERE purpose = 'path';

-- One HTTP exchange for a call.  A row is committed as 'sent' before the request
-- leaves, and closed once; 'unknown' marks one that a killed collector left open.
CREATE TABLE attempt (
    attempt_id      INTEGER PRIMARY KEY,
    call_id         INTEGER NOT NULL REFERENCES call,
    number          INTEGER NOT NULL CHECK (number >= 1),
    status          TEXT NOT NULL CHECK (status IN ('sent', 'ok', 'failed', 'unknown')),
    final           INTEGER NOT NULL DEFAULT 0 CHECK (final IN (0, 1)),
    error_class     TEXT,
    error           TEXT,
    sent_ms         INTEGER NOT NULL,
    closed_ms       INTEGER,
    reserved_pusd   INTEGER,
    http_status     INTEGER,
    request_id      TEXT,
    request_sha256  TEXT NOT NULL,
    request         BLOB NOT NULL,
    received        BLOB,
    queue_ns        INTEGER,
    name_lookup_ns  INTEGER,
    connect_ns      INTEGER,
    upload_ns       INTEGER,
    first_byte_ns   INTEGER,
    first_token_ns  INTEGER,
    latency_ns      INTEGER,
    in_flight       INTEGER,
    reused          INTEGER CHECK (reused IN (0, 1)),
    warm_up         INTEGER NOT NULL DEFAULT 0 CHECK (warm_up IN (0, 1)),
    UNIQUE (call_id, number),
    CHECK ((status = 'sent') = (closed_ms IS NULL)),
    CHECK ((error_class IS NOT NULL) = (status IN ('failed', 'unknown')))
) STRICT;
CREATE INDEX attempt_open ON attempt (attempt_id) WHERE status = 'sent';

CREATE TRIGGER attempt_is_append_only BEFORE UPDATE ON attempt WHEN OLD.status <> 'sent'
BEGIN SELECT RAISE(ABORT, 'an attempt that is closed is never changed'); END;
CREATE TRIGGER attempt_is_kept BEFORE DELETE ON attempt
BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END;

-- A valid answer.  attempt_id is NULL for imported ones; the five token counts are
-- disjoint: 0 where the protocol has no such class, NULL where it did not report.
CREATE TABLE response (
    response_id         INTEGER PRIMARY KEY,
    call_id             INTEGER NOT NULL REFERENCES call,
    attempt_id          INTEGER UNIQUE REFERENCES attempt,
    text                TEXT NOT NULL,
    stop_reason         TEXT,
    provider_stop       TEXT,
    model               TEXT,
    fingerprint         TEXT,
    input_tokens        INTEGER,
    cache_read_tokens   INTEGER,
    cache_write_tokens  INTEGER,
    output_tokens       INTEGER,
    reasoning_tokens    INTEGER,
    usage               TEXT,
    provider_cost_usd   REAL,
    reported_latency_s  REAL,
    reported_cost_usd   REAL,
    reported_views      TEXT,
    simulated           INTEGER NOT NULL DEFAULT 0 CHECK (simulated IN (0, 1))
) STRICT;
CREATE INDEX response_call ON response (call_id);

CREATE TRIGGER response_is_append_only BEFORE UPDATE ON response
BEGIN SELECT RAISE(ABORT, 'a response is never changed'); END;
CREATE TRIGGER response_is_kept BEFORE DELETE ON response
BEGIN SELECT RAISE(ABORT, 'responses are never deleted'); END;

-- One scorer's value for a response; value NULL is unscored, and reason says why.
CREATE TABLE score (
    score_id        INTEGER PRIMARY KEY,
    response_id     INTEGER NOT NULL REFERENCES response,
    scorer          TEXT NOT NULL,
    version         TEXT NOT NULL,
    value           REAL,
    reason          TEXT,
    judge_call_id   INTEGER REFERENCES call (call_id),
    details         TEXT,
    UNIQUE (response_id, scorer, version),
    CHECK ((value IS NULL) = (reason IS NOT NULL))
) STRICT;

CREATE TABLE association (
    turn_id     INTEGER NOT NULL REFERENCES turn,
    view_id     INTEGER NOT NULL REFERENCES view,
    model       TEXT NOT NULL,
    value       REAL NOT NULL,
    PRIMARY KEY (turn_id, view_id, model)
) STRICT, WITHOUT ROWID;

-- A frozen partition of sessions.
CREATE TABLE split (
    split_id    INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    created_ms  INTEGER NOT NULL,
    seed        INTEGER,
    rule        TEXT NOT NULL,
    sha256      TEXT NOT NULL
) STRICT;

CREATE TABLE split_session (
    split_id    INTEGER NOT NULL REFERENCES split,
    session_id  INTEGER NOT NULL REFERENCES session,
    part        TEXT NOT NULL CHECK (part IN ('train', 'test')),
    position    INTEGER NOT NULL,
    PRIMARY KEY (split_id, session_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER split_is_frozen BEFORE UPDATE ON split
BEGIN SELECT RAISE(ABORT, 'a split is frozen'); END;
CREATE TRIGGER split_session_is_frozen BEFORE UPDATE ON split_session
BEGIN SELECT RAISE(ABORT, 'a split is frozen'); END;

-- ---- views: the usual questions -------------------------------------------------

-- The answer of a call is its last response.
CREATE VIEW answer AS
SELECT * FROM response r
WHERE response_id = (SELECT max(response_id) FROM response WHERE call_id = r.call_id);

-- What one response cost by the price that was valid when it was sent; NULL = unknown.
CREATE VIEW response_cost AS
SELECT r.response_id, r.call_id, r.attempt_id,
       r.input_tokens * p.input_pusd + r.cache_read_tokens * p.cache_read_pusd
       + r.cache_write_tokens * p.cache_write_pusd
       + (r.output_tokens + r.reasoning_tokens) * p.output_pusd AS cost_pusd
FROM response r
JOIN call c USING (call_id)
LEFT JOIN attempt a USING (attempt_id)
LEFT JOIN price p ON p.price_id =
    (SELECT q.price_id FROM price q WHERE q.llm_id = c.llm_id AND q.valid_from_ms <= a.sent_ms
     ORDER BY q.valid_from_ms DESC LIMIT 1);

-- The views of a call as rows; added = 1 for those that the action added.
CREATE VIEW call_view AS
SELECT c.call_id, v.view_id, v.name AS view, (c.views_added >> v.position) & 1 AS added
FROM call c JOIN view v ON (c.views_context >> v.position) & 1;

-- done: has an answer; failed: refused for good; blocked: an earlier call of its
-- dialogue failed; waiting: an earlier call is still to be made; ready: can be sent.
CREATE VIEW call_state AS
WITH RECURSIVE own AS (
    SELECT c.call_id, c.parent_id, c.subject_id, CASE
        WHEN EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id) THEN 'done'
        WHEN EXISTS (SELECT 1 FROM attempt a WHERE a.call_id = c.call_id AND a.final) THEN 'failed'
        ELSE 'open' END AS state
    FROM call c
), dead AS (
    SELECT call_id FROM own WHERE state = 'failed'
    UNION
    SELECT o.call_id FROM dead d JOIN own o ON d.call_id = o.parent_id OR d.call_id = o.subject_id
    WHERE o.state = 'open'
)
SELECT o.call_id, CASE
    WHEN o.state <> 'open' THEN o.state
    WHEN o.call_id IN (SELECT call_id FROM dead) THEN 'blocked'
    WHEN (o.parent_id IS NULL OR p.state = 'done') AND (o.subject_id IS NULL OR s.state = 'done')
        THEN 'ready'
    ELSE 'waiting' END AS state
FROM own o
LEFT JOIN own p ON p.call_id = o.parent_id
LEFT JOIN own s ON s.call_id = o.subject_id;

-- Interactions as M4A1 has them: one row a turn, along each session's path.
CREATE VIEW interaction AS
SELECT t.session_id, t.position AS turn, k.name AS task, p.text AS question,
       l.name AS llm, l.role, c.views_added, c.views_context, c.probability,
       a.text AS answer, a.stop_reason, a.simulated,
       coalesce(a.reported_latency_s, x.latency_ns / 1e9) AS latency_s,
       coalesce(a.reported_cost_usd, rc.cost_pusd / 1e12) AS cost_usd,
       s.value AS score, f.value AS refusal, c.call_id, a.response_id
FROM turn t
JOIN prompt p USING (prompt_id)
JOIN task k USING (task_id)
JOIN call c ON c.turn_id = t.turn_id AND c.purpose = 'path'
JOIN llm l USING (llm_id)
LEFT JOIN answer a ON a.call_id = c.call_id
LEFT JOIN attempt x ON x.attempt_id = a.attempt_id
LEFT JOIN response_cost rc ON rc.response_id = a.response_id
LEFT JOIN score s ON s.score_id = (SELECT max(score_id) FROM score
    WHERE response_id = a.response_id AND scorer = 'ratio')
LEFT JOIN score f ON f.score_id = (SELECT max(score_id) FROM score
    WHERE response_id = a.response_id AND scorer = 'refusal');

-- What an attempt counts against a spending cap: its cost where that is known, nothing
-- where the server refused it or was never reached, else the amount reserved for it.
CREATE VIEW attempt_cost AS
SELECT a.attempt_id, a.call_id, rc.cost_pusd, CASE
           WHEN rc.cost_pusd IS NOT NULL THEN rc.cost_pusd
           WHEN a.status = 'failed' AND (a.http_status >= 400 OR a.error_class = 'connect') THEN 0
           ELSE coalesce(a.reserved_pusd, 0) END AS counted_pusd
FROM attempt a
LEFT JOIN response r USING (attempt_id)
LEFT JOIN response_cost rc USING (response_id);

CREATE VIEW cost_by_llm AS
SELECT l.name AS llm, l.role, count(*) AS attempts,
       sum(a.status = 'ok') AS answered, sum(a.status = 'failed') AS failed,
       sum(a.status = 'unknown') AS unknown, sum(a.status = 'sent') AS in_flight,
       sum(r.input_tokens) AS input_tokens, sum(r.cache_read_tokens) AS cache_read_tokens,
       sum(r.cache_write_tokens) AS cache_write_tokens,
       sum(r.output_tokens) AS output_tokens, sum(r.reasoning_tokens) AS reasoning_tokens,
       sum(ac.cost_pusd) / 1e12 AS cost_usd, sum(ac.counted_pusd) / 1e12 AS counted_usd
FROM attempt a
JOIN attempt_cost ac USING (attempt_id)
JOIN call c ON c.call_id = a.call_id
JOIN llm l USING (llm_id)
LEFT JOIN response r ON r.attempt_id = a.attempt_id
GROUP BY l.llm_id;

CREATE VIEW progress AS
SELECT c.purpose, l.name AS llm, count(*) AS planned, sum(s.state = 'done') AS done,
       sum(s.state = 'failed') AS failed, sum(s.state = 'blocked') AS blocked,
       sum(s.state IN ('ready', 'waiting')) AS open
FROM call c JOIN call_state s USING (call_id) JOIN llm l USING (llm_id)
GROUP BY c.purpose, l.llm_id;

CREATE VIEW failure AS
SELECT c.call_id, t.session_id, t.position AS turn, c.purpose, l.name AS llm, a.number AS attempt,
       a.status, a.final, a.error_class, a.error, a.http_status, a.sent_ms
FROM attempt a JOIN call c USING (call_id) JOIN turn t USING (turn_id) JOIN llm l USING (llm_id)
WHERE a.status IN ('failed', 'unknown');
