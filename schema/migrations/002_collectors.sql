-- Version 2: price tiers, energy, runs, endpoints, what servers tell of themselves, and
-- answers parsed anew.  docs/store.md explains every table and column.

DROP VIEW interaction;
DROP VIEW cost_by_llm;
DROP VIEW attempt_cost;
DROP VIEW response_cost;

-- Rows of one llm, service tier and day belong together: the one with the largest
-- min_input_tokens that the prompt reaches holds; one of them begins at 0.
CREATE TABLE price_2 (
    price_id          INTEGER PRIMARY KEY,
    llm_id            INTEGER NOT NULL REFERENCES llm,
    service_tier      TEXT NOT NULL DEFAULT 'standard' CHECK (service_tier = lower(service_tier)),
    valid_from_ms     INTEGER NOT NULL,
    min_input_tokens  INTEGER NOT NULL DEFAULT 0 CHECK (min_input_tokens >= 0),
    input_pusd        INTEGER NOT NULL CHECK (input_pusd >= 0),
    cache_read_pusd   INTEGER NOT NULL CHECK (cache_read_pusd >= 0),
    cache_write_pusd  INTEGER NOT NULL CHECK (cache_write_pusd >= 0),
    output_pusd       INTEGER NOT NULL CHECK (output_pusd >= 0),
    source            TEXT NOT NULL,
    UNIQUE (llm_id, service_tier, valid_from_ms, min_input_tokens)
) STRICT;
INSERT INTO price_2 (price_id, llm_id, valid_from_ms, input_pusd, cache_read_pusd,
                     cache_write_pusd, output_pusd, source)
    SELECT price_id, llm_id, valid_from_ms, input_pusd, cache_read_pusd, cache_write_pusd,
           output_pusd, source FROM price;
DROP TABLE price;
ALTER TABLE price_2 RENAME TO price;

-- A view of kind video has a row a sampled frame, parts 0, 1, ... in time order; a view of
-- any other kind has part 0 alone.
CREATE TABLE scene_frame_2 (
    scene_id    INTEGER NOT NULL REFERENCES scene,
    view_id     INTEGER NOT NULL REFERENCES view,
    at_ms       INTEGER NOT NULL,
    part        INTEGER NOT NULL DEFAULT 0 CHECK (part >= 0),
    offset_ms   INTEGER NOT NULL DEFAULT 0 CHECK (offset_ms >= 0),
    frame_id    INTEGER REFERENCES frame,
    source      TEXT NOT NULL,
    PRIMARY KEY (scene_id, at_ms, view_id, part)
) STRICT, WITHOUT ROWID;
INSERT INTO scene_frame_2 (scene_id, view_id, at_ms, frame_id, source)
    SELECT scene_id, view_id, at_ms, frame_id, source FROM scene_frame;
DROP TABLE scene_frame;
ALTER TABLE scene_frame_2 RENAME TO scene_frame;
CREATE INDEX scene_frame_frame ON scene_frame (frame_id);

-- Text and sound have no size in pixels; sound has a length.
ALTER TABLE frame ADD COLUMN duration_ms INTEGER;

-- A picture that was made smaller for the limits of a server is a frame of its own.
CREATE TABLE frame_fit (
    frame_id    INTEGER NOT NULL REFERENCES frame,
    max_px      INTEGER NOT NULL CHECK (max_px >= 0),
    max_bytes   INTEGER NOT NULL CHECK (max_bytes >= 0),
    fitted_id   INTEGER NOT NULL REFERENCES frame (frame_id),
    PRIMARY KEY (frame_id, max_px, max_bytes)
) STRICT, WITHOUT ROWID;
CREATE INDEX frame_fit_fitted ON frame_fit (fitted_id);

-- One run of a verb that sent something.
CREATE TABLE run (
    run_id      INTEGER PRIMARY KEY,
    version     TEXT NOT NULL,
    timing      TEXT NOT NULL CHECK (timing IN ('loaded', 'isolated')),
    options     TEXT NOT NULL,
    started_ms  INTEGER NOT NULL,
    ended_ms    INTEGER,
    outcome     TEXT CHECK (outcome IN ('done', 'partial', 'interrupted', 'failed')),
    CHECK ((ended_ms IS NULL) = (outcome IS NULL))
) STRICT;

-- Runs of version 1 had no isolated timing.
ALTER TABLE attempt ADD COLUMN run_id INTEGER REFERENCES run;
ALTER TABLE attempt ADD COLUMN timing TEXT NOT NULL DEFAULT 'loaded'
    CHECK (timing IN ('loaded', 'isolated'));
ALTER TABLE attempt ADD COLUMN llm_in_flight INTEGER;
ALTER TABLE attempt ADD COLUMN loop_lag_ns INTEGER;

ALTER TABLE response ADD COLUMN service_tier TEXT;
ALTER TABLE response ADD COLUMN load_ns INTEGER;
ALTER TABLE response ADD COLUMN server_ns INTEGER;

-- What a server told of itself; a new row when it tells something else.
CREATE TABLE endpoint (
    endpoint_id     INTEGER PRIMARY KEY,
    llm_id          INTEGER NOT NULL REFERENCES llm,
    first_seen_ms   INTEGER NOT NULL,
    last_seen_ms    INTEGER NOT NULL,
    server          TEXT NOT NULL,
    build           TEXT,
    model_digest    TEXT,
    quantisation    TEXT,
    context_tokens  INTEGER,
    slots           INTEGER,
    gpu             TEXT,
    details         TEXT NOT NULL
) STRICT;
CREATE INDEX endpoint_llm ON endpoint (llm_id);

-- What today's parsers read from bytes received earlier, where it differs from what was
-- stored then.  Derived: rows of one version are made anew by each run of rederive.
CREATE TABLE rederived (
    rederived_id        INTEGER PRIMARY KEY,
    attempt_id          INTEGER NOT NULL REFERENCES attempt,
    version             TEXT NOT NULL,
    derived_ms          INTEGER NOT NULL,
    differs             TEXT NOT NULL,
    error_class         TEXT,
    error               TEXT,
    text                TEXT,
    stop_reason         TEXT,
    provider_stop       TEXT,
    model               TEXT,
    fingerprint         TEXT,
    input_tokens        INTEGER,
    cache_read_tokens   INTEGER,
    cache_write_tokens  INTEGER,
    output_tokens       INTEGER,
    reasoning_tokens    INTEGER,
    service_tier        TEXT,
    load_ns             INTEGER,
    server_ns           INTEGER,
    UNIQUE (attempt_id, version),
    CHECK ((error_class IS NULL) = (text IS NOT NULL))
) STRICT;

-- ---- views ----------------------------------------------------------------------

-- What one response cost: tokens by the price that was valid when it was sent, for its
-- service tier and the size of its prompt; electricity by the llm's watts and tariff.  More
-- than 1,000 USD for one answer comes from counts that are nonsense: it is unknown, and
-- sums stay within what 64 bits hold.
CREATE VIEW response_cost AS
SELECT y.response_id, y.call_id, y.attempt_id, y.price_id,
       iif(y.tokens_pusd <= 1e15, y.tokens_pusd, NULL) AS cost_pusd,
       iif(y.energy_pusd <= 1e15, y.energy_pusd, NULL) AS energy_pusd,
       iif(y.tokens_pusd <= 1e15, y.tokens_pusd, NULL)
       + coalesce(iif(y.energy_pusd <= 1e15, y.energy_pusd, NULL), 0) AS total_pusd
FROM (SELECT x.response_id, x.call_id, x.attempt_id, x.price_id, x.energy_pusd,
       x.input_tokens * p.input_pusd + x.cache_read_tokens * p.cache_read_pusd
       + x.cache_write_tokens * p.cache_write_pusd
       + (x.output_tokens + x.reasoning_tokens) * p.output_pusd AS tokens_pusd
FROM (
    SELECT r.*,
           (SELECT q.price_id FROM price q
            WHERE q.llm_id = c.llm_id AND q.valid_from_ms <= a.sent_ms
              AND q.service_tier = CASE lower(coalesce(r.service_tier, 'standard'))
                  WHEN 'default' THEN 'standard' WHEN 'auto' THEN 'standard'
                  WHEN 'on_demand' THEN 'standard'
                  ELSE lower(coalesce(r.service_tier, 'standard')) END
              AND q.min_input_tokens <= coalesce(
                  r.input_tokens + r.cache_read_tokens + r.cache_write_tokens, 0)
            ORDER BY q.valid_from_ms DESC, q.min_input_tokens DESC LIMIT 1) AS price_id,
           CAST(round(a.latency_ns * (l.settings ->> '$.watts')
               * (l.settings ->> '$.usd_per_kwh') / 3600.0) AS INTEGER) AS energy_pusd
    FROM response r
    JOIN call c ON c.call_id = r.call_id
    JOIN llm l ON l.llm_id = c.llm_id
    LEFT JOIN attempt a ON a.attempt_id = r.attempt_id
) x
LEFT JOIN price p ON p.price_id = x.price_id) y;

-- What an attempt counts against a spending cap: its cost where that is known, nothing
-- where the server refused it or was never reached, else the amount reserved for it.
CREATE VIEW attempt_cost AS
SELECT a.attempt_id, a.call_id, rc.cost_pusd, CASE
           WHEN rc.cost_pusd IS NOT NULL THEN rc.cost_pusd
           WHEN a.status = 'failed' AND (a.http_status >= 300 OR a.error_class = 'connect') THEN 0
           ELSE coalesce(a.reserved_pusd, 0) END AS counted_pusd,
       rc.energy_pusd
FROM attempt a
LEFT JOIN response_cost rc USING (attempt_id);

-- Interactions as M4A1 has them: one row a turn, along each session's path.
CREATE VIEW interaction AS
SELECT t.session_id, t.position AS turn, k.name AS task, p.text AS question,
       l.name AS llm, l.role, c.views_added, c.views_context, c.probability,
       a.text AS answer, a.stop_reason, a.simulated,
       coalesce(a.reported_latency_s, x.latency_ns / 1e9) AS latency_s,
       coalesce(a.reported_cost_usd, rc.cost_pusd / 1e12) AS cost_usd,
       rc.energy_pusd / 1e12 AS energy_usd,
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

-- Summed as REAL, so that no figure in a store can make the sum fail.
CREATE VIEW cost_by_llm AS
SELECT l.name AS llm, l.role, count(*) AS attempts,
       sum(a.status = 'ok') AS answered, sum(a.status = 'failed') AS failed,
       sum(a.status = 'unknown') AS unknown, sum(a.status = 'sent') AS in_flight,
       CAST(sum(r.input_tokens * 1.0) AS INTEGER) AS input_tokens,
       CAST(sum(r.cache_read_tokens * 1.0) AS INTEGER) AS cache_read_tokens,
       CAST(sum(r.cache_write_tokens * 1.0) AS INTEGER) AS cache_write_tokens,
       CAST(sum(r.output_tokens * 1.0) AS INTEGER) AS output_tokens,
       CAST(sum(r.reasoning_tokens * 1.0) AS INTEGER) AS reasoning_tokens,
       sum(ac.cost_pusd / 1e12) AS cost_usd, sum(ac.counted_pusd / 1e12) AS counted_usd,
       sum(ac.energy_pusd / 1e12) AS energy_usd
FROM attempt a
JOIN attempt_cost ac USING (attempt_id)
JOIN call c ON c.call_id = a.call_id
JOIN llm l USING (llm_id)
LEFT JOIN response r ON r.attempt_id = a.attempt_id
GROUP BY l.llm_id;

-- One row a measured answer, with all that explains its time.
CREATE VIEW latency AS
SELECT r.response_id, r.call_id, l.name AS llm, l.role, c.purpose,
       (SELECT count(*) FROM view v WHERE (c.views_added >> v.position) & 1) AS n_added,
       (SELECT count(*) FROM view v WHERE (c.views_context >> v.position) & 1) AS n_context,
       a.timing, CASE WHEN r.load_ns > 1000000000 THEN 'cold_start'
                      WHEN a.warm_up THEN 'warm_up' ELSE 'steady' END AS phase,
       a.latency_ns / 1e9 AS latency_s, a.first_token_ns / 1e9 AS first_token_s,
       a.upload_ns / 1e9 AS upload_s, r.load_ns / 1e9 AS load_s,
       r.server_ns / 1e9 AS server_s, a.loop_lag_ns / 1e9 AS loop_lag_s,
       a.in_flight, a.llm_in_flight, a.reused,
       r.cache_read_tokens,
       r.input_tokens + r.cache_read_tokens + r.cache_write_tokens AS prompt_tokens,
       r.output_tokens + r.reasoning_tokens AS all_output_tokens, r.simulated
FROM response r
JOIN attempt a ON a.attempt_id = r.attempt_id
JOIN call c ON c.call_id = r.call_id
JOIN llm l USING (llm_id)
WHERE a.latency_ns IS NOT NULL;

-- The answers as today's parsers read them; version is NULL where that is no different.
-- An answer that is none today has an error_class.  Nothing reads this view by itself.
CREATE VIEW rederived_answer AS
SELECT r.response_id, r.call_id, d.version, d.error_class,
       CASE WHEN d.attempt_id IS NULL THEN r.text ELSE d.text END AS text,
       CASE WHEN d.attempt_id IS NULL THEN r.stop_reason ELSE d.stop_reason END
           AS stop_reason,
       CASE WHEN d.attempt_id IS NULL THEN r.input_tokens ELSE d.input_tokens END
           AS input_tokens,
       CASE WHEN d.attempt_id IS NULL THEN r.cache_read_tokens ELSE d.cache_read_tokens END
           AS cache_read_tokens,
       CASE WHEN d.attempt_id IS NULL THEN r.cache_write_tokens
            ELSE d.cache_write_tokens END AS cache_write_tokens,
       CASE WHEN d.attempt_id IS NULL THEN r.output_tokens ELSE d.output_tokens END
           AS output_tokens,
       CASE WHEN d.attempt_id IS NULL THEN r.reasoning_tokens ELSE d.reasoning_tokens END
           AS reasoning_tokens
FROM answer r
LEFT JOIN rederived d ON d.rederived_id =
    (SELECT max(rederived_id) FROM rederived WHERE attempt_id = r.attempt_id);
