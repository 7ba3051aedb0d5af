-- Builds say their prompt format; figures of repeats that were asked in several set-ups how many, and how far these are apart.

ALTER TABLE fact_builds ADD COLUMN IF NOT EXISTS format String DEFAULT 'own' AFTER skipped_first;

CREATE OR REPLACE VIEW builds AS SELECT * EXCEPT (log_version) FROM fact_builds FINAL;

CREATE OR REPLACE VIEW run_figures AS
SELECT
    run_id,
    task,
    scorer_version,
    tupleElement(newest, 1) AS complete,
    tupleElement(newest, 2) AS scored,
    tupleElement(newest, 3) AS expected,
    JSONExtractString(f, 'metric') AS metric,
    JSONExtractString(f, 'filter') AS filter,
    JSONExtract(f, 'value', 'Nullable(Float64)') AS value,
    -- Older figures have 0 where no value differs, beside an interval that denies it.
    nullIf(JSONExtract(f, 'stderr', 'Nullable(Float64)'), 0) AS stderr,
    JSONExtract(f, 'low', 'Nullable(Float64)') AS low,
    JSONExtract(f, 'high', 'Nullable(Float64)') AS high,
    JSONExtractUInt(f, 'n') AS n,
    JSONExtractUInt(f, 'not_scored') AS not_scored,
    JSONExtract(f, 'why_undefined', 'Nullable(String)') AS why_undefined,
    JSONExtractBool(f, 'sequential') AS sequential,
    greatest(1, JSONExtractUInt(f, 'repeats')) AS repeats,
    JSONExtract(f, 'method', 'Nullable(String)') AS method,
    JSONExtract(f, 'between', 'Nullable(Float64)') AS between_documents,
    JSONExtract(f, 'within', 'Nullable(Float64)') AS within_documents,
    greatest(1, JSONExtractUInt(f, 'setups')) AS setups,
    JSONExtract(f, 'between_setups', 'Nullable(Float64)') AS between_setups
FROM
(
    SELECT run_id, task, scorer_version, argMax((complete, scored, expected, figures), (complete, scored, log_offset)) AS newest
    FROM
    (
        SELECT run_id, task, scorer_version, complete, scored, expected, figures, log_offset FROM fact_run_scores
        UNION ALL
        SELECT run_id, task, scorer_version, false, scored, expected, figures, log_offset FROM fact_progress
    )
    GROUP BY run_id, task, scorer_version
)
ARRAY JOIN JSONExtractArrayRaw(tupleElement(newest, 4)) AS f;
