-- What is asked of a run with a million samples, kept as it comes: how many of them are answered and scored, and their order by value.
-- Both are sets: what is inserted twice is in them once. An order also holds the values of answers that came second, which the facts then
-- refuse (query_api/reading_samples.py).

CREATE TABLE IF NOT EXISTS sample_sets (
    run_id String,
    task String,
    kind LowCardinality(String),
    filter String,
    metric String,
    repeat Int64,
    ordinals AggregateFunction(groupBitmap, UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (run_id, task, kind, filter, metric, repeat);

CREATE TABLE IF NOT EXISTS sample_order (
    run_id String,
    value Float64,
    task String,
    ordinal Int64,
    repeat Int64,
    metric String,
    filter String
)
ENGINE = ReplacingMergeTree
ORDER BY (run_id, value, task, ordinal, repeat, metric, filter);

CREATE MATERIALIZED VIEW IF NOT EXISTS answered_sets TO sample_sets AS
SELECT run_id, task, 'answered' AS kind, '' AS filter, '' AS metric, repeat, groupBitmapState(toUInt64(ordinal)) AS ordinals
FROM fact_answers GROUP BY run_id, task, repeat;

CREATE MATERIALIZED VIEW IF NOT EXISTS scored_sets TO sample_sets AS
SELECT run_id, task, 'scored' AS kind, filter, metric, repeat, groupBitmapState(toUInt64(ordinal)) AS ordinals
FROM fact_scores GROUP BY run_id, task, filter, metric, repeat;

CREATE MATERIALIZED VIEW IF NOT EXISTS not_scored_sets TO sample_sets AS
SELECT run_id, task, 'not scored' AS kind, '' AS filter, '' AS metric, repeat, groupBitmapState(toUInt64(ordinal)) AS ordinals
FROM fact_not_scored GROUP BY run_id, task, repeat;

CREATE MATERIALIZED VIEW IF NOT EXISTS values_in_order TO sample_order AS
SELECT run_id, ifNull(value, -inf) AS value, task, ordinal, repeat, metric, filter FROM fact_scores;

-- What was there before.
INSERT INTO sample_sets
SELECT run_id, task, 'answered', '', '', repeat, groupBitmapState(toUInt64(ordinal)) FROM fact_answers GROUP BY run_id, task, repeat;
INSERT INTO sample_sets
SELECT run_id, task, 'scored', filter, metric, repeat, groupBitmapState(toUInt64(ordinal)) FROM fact_scores
GROUP BY run_id, task, filter, metric, repeat;
INSERT INTO sample_sets
SELECT run_id, task, 'not scored', '', '', repeat, groupBitmapState(toUInt64(ordinal)) FROM fact_not_scored GROUP BY run_id, task, repeat;
INSERT INTO sample_order SELECT run_id, ifNull(value, -inf), task, ordinal, repeat, metric, filter FROM fact_scores;

CREATE OR REPLACE VIEW run_progress AS
SELECT
    run_id,
    task,
    max(planned) AS expected,
    sumIf(samples, kind = 'answered') AS answered,
    sumIf(samples, kind = 'scored') AS scored,
    sumIf(samples, kind = 'not scored') AS not_scored
FROM
(
    SELECT run_id, JSONExtractString(t, 'task') AS task, JSONExtractUInt(t, 'samples') * JSONExtractUInt(t, 'repeats') AS planned,
        'planned' AS kind, toUInt64(0) AS samples
    FROM fact_runs ARRAY JOIN JSONExtractArrayRaw(ifNull(plan, ''), 'tasks') AS t WHERE state = 'planned'
    UNION ALL
    SELECT run_id, task, 0, CAST(kind AS String), groupBitmapMerge(ordinals) FROM sample_sets GROUP BY run_id, task, kind, repeat
)
GROUP BY run_id, task;
