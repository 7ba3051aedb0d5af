-- Figures say how often each document was asked, and what made their interval; rows of boards of how many runs of the model theirs is the newest.

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
    JSONExtractBool(f, 'sequential') AS sequential,
    greatest(1, JSONExtractUInt(f, 'repeats')) AS repeats,
    JSONExtract(f, 'method', 'Nullable(String)') AS method,
    JSONExtract(f, 'between', 'Nullable(Float64)') AS between_documents,
    JSONExtract(f, 'within', 'Nullable(Float64)') AS within_documents
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
    JSONExtractBool(r, 'sequential') AS sequential,
    if(JSONExtractString(r, 'data_age') = '', 'unknown', JSONExtractString(r, 'data_age')) AS data_age,
    greatest(1, JSONExtractUInt(r, 'run_count')) AS run_count
FROM
(
    SELECT board, argMax((version, provisional, changed_us, rows), (changed_us, written_offset)) AS newest
    FROM
    (
        -- A long board comes in parts; it is there when all of them are. Of one that was told twice the parts are the same.
        SELECT board, version, inputs_digest, any(provisional) AS provisional, max(occurred_us) AS changed_us,
            max(log_offset) AS written_offset, arrayFlatten(arrayMap(p -> p.2, arraySort(groupUniqArray((part, told))))) AS rows
        FROM (SELECT *, JSONExtractArrayRaw(rows) AS told FROM fact_rankings)
        GROUP BY board, version, inputs_digest
        HAVING uniqExact(part) = any(parts)
    )
    GROUP BY board
)
ARRAY JOIN tupleElement(newest, 4) AS r, arrayEnumerate(tupleElement(newest, 4)) AS position;
