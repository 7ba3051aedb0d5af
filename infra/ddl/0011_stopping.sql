-- Requests say when their tasks are known well enough; a task that stopped early has as many samples as it stopped at.

ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS stopping Nullable(String) AFTER against_run;

CREATE OR REPLACE VIEW requests AS SELECT * EXCEPT (log_version) FROM fact_requests FINAL;

CREATE OR REPLACE VIEW run_progress AS
SELECT
    run_id,
    task,
    if(max(stop_samples) > 0, max(stop_samples), max(plan_samples)) AS expected,
    sumIf(samples, kind = 'answered') AS answered,
    if(max(stop_samples) > 0, toUInt64(max(stop_samples) - max(stop_not_scored)), sumIf(samples, kind = 'scored')) AS scored,
    if(max(stop_samples) > 0, max(stop_not_scored), sumIf(samples, kind = 'not scored')) AS not_scored,
    max(plan_samples) AS planned,
    max(stop_half_width) AS half_width
FROM
(
    SELECT run_id, JSONExtractString(t, 'task') AS task, JSONExtractUInt(t, 'samples') * JSONExtractUInt(t, 'repeats') AS plan_samples,
        'planned' AS kind, toUInt64(0) AS samples, toUInt64(0) AS stop_samples, toUInt64(0) AS stop_not_scored,
        CAST(NULL AS Nullable(Float64)) AS stop_half_width
    FROM fact_runs ARRAY JOIN JSONExtractArrayRaw(ifNull(plan, ''), 'tasks') AS t WHERE state = 'planned'
    UNION ALL
    SELECT run_id, task, 0, CAST(kind AS String), groupBitmapMerge(ordinals), 0, 0, NULL FROM sample_sets GROUP BY run_id, task, kind, repeat
    UNION ALL
    SELECT run_id, task, 0, 'stopped', 0, toUInt64(samples), toUInt64(not_scored), half_width FROM fact_stops FINAL
)
GROUP BY run_id, task;

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
    JSONExtract(f, 'stderr', 'Nullable(Float64)') AS stderr,
    JSONExtract(f, 'low', 'Nullable(Float64)') AS low,
    JSONExtract(f, 'high', 'Nullable(Float64)') AS high,
    JSONExtractUInt(f, 'n') AS n,
    JSONExtractUInt(f, 'not_scored') AS not_scored,
    JSONExtract(f, 'why_undefined', 'Nullable(String)') AS why_undefined,
    JSONExtractBool(f, 'sequential') AS sequential
FROM
(
    SELECT run_id, task, scorer_version, argMax((complete, scored, expected, figures), (complete, scored, log_offset)) AS newest
    FROM fact_run_scores
    GROUP BY run_id, task, scorer_version
)
ARRAY JOIN JSONExtractArrayRaw(tupleElement(newest, 4)) AS f;

CREATE OR REPLACE VIEW ranking_rows AS
SELECT
    board,
    tupleElement(newest, 1) AS version,
    tupleElement(newest, 2) AS provisional,
    tupleElement(newest, 3) AS changed_us,
    position,
    JSONExtract(r, 'rank', 'Nullable(UInt32)') AS rank,
    JSONExtractString(r, 'model') AS model,
    JSONExtractString(r, 'model_sha') AS model_sha,
    JSONExtractString(r, 'engine') AS engine,
    JSONExtractString(r, 'hardware') AS hardware,
    JSONExtractString(r, 'run_id') AS run_id,
    JSONExtract(r, 'score', 'Nullable(Float64)') AS score,
    JSONExtract(r, 'low', 'Nullable(Float64)') AS low,
    JSONExtract(r, 'high', 'Nullable(Float64)') AS high,
    JSONExtract(r, 'rank_low', 'Nullable(UInt32)') AS rank_low,
    JSONExtract(r, 'rank_high', 'Nullable(UInt32)') AS rank_high,
    JSONExtractUInt(r, 'samples') AS samples,
    JSONExtract(r, 'output_tokens_per_s', 'Nullable(Float64)') AS output_tokens_per_s,
    JSONExtract(r, 'ttft_p50_ns', 'Nullable(Int64)') AS ttft_p50_ns,
    JSONExtract(r, 'joules_per_token', 'Nullable(Float64)') AS joules_per_token,
    JSONExtract(r, 'energy_grade', 'Nullable(String)') AS energy_grade,
    JSONExtract(r, 'missing', 'Array(String)') AS missing,
    JSONExtractBool(r, 'sealed') AS sealed,
    JSONExtractBool(r, 'audited') AS audited,
    JSONExtract(r, 'speed_run', 'Nullable(String)') AS speed_run,
    JSONExtractRaw(r, 'chat') AS chat,
    JSONExtractBool(r, 'sequential') AS sequential
FROM
(
    SELECT board, argMax((version, provisional, occurred_us, rows), log_offset) AS newest
    FROM fact_rankings
    GROUP BY board
)
ARRAY JOIN JSONExtractArrayRaw(tupleElement(newest, 4)) AS r, arrayEnumerate(JSONExtractArrayRaw(tupleElement(newest, 4))) AS position;
