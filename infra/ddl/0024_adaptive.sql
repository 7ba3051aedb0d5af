-- Requests may ask a part of each task; rows of boards say what their score is estimated from.

ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS adaptive Nullable(Int64) AFTER no_truncation;

CREATE OR REPLACE VIEW requests AS SELECT * EXCEPT (log_version) FROM fact_requests FINAL;

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
    run_id IN (SELECT run_id FROM fact_seals) AS sealed,
    run_id IN (SELECT run_id FROM fact_retractions) AS retracted,
    JSONExtractBool(r, 'audited') AS audited,
    JSONExtract(r, 'speed_run', 'Nullable(String)') AS speed_run,
    JSONExtractRaw(r, 'chat') AS chat,
    JSONExtractBool(r, 'sequential') AS sequential,
    if(JSONExtractString(r, 'data_age') = '', 'unknown', JSONExtractString(r, 'data_age')) AS data_age,
    greatest(1, JSONExtractUInt(r, 'run_count')) AS run_count,
    JSONExtract(r, 'adaptive', 'Nullable(String)') AS adaptive
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
