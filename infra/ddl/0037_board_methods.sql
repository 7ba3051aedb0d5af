-- Rows of boards say what made their interval: a task's board has its figures' methods, a suite's joins them.

CREATE OR REPLACE VIEW ranking_rows AS
SELECT
    placed.*,
    ifNull(told.audits, 0) > 0 AS audited,
    ifNull(told.audits, 0) AS audits,
    if(audits > 0, told.equal_ratio, NULL) AS equal_ratio,
    ifNull(told.other_audits, 0) AS other_audits,
    if(other_audits > 0, told.other_equal_ratio, NULL) AS other_equal_ratio
FROM
(
    SELECT
        board,
        version,
        provisional,
        changed_us,
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
        JSONExtract(r, 'speed_run', 'Nullable(String)') AS speed_run,
        JSONExtractRaw(r, 'chat') AS chat,
        JSONExtractBool(r, 'sequential') AS sequential,
        if(JSONExtractString(r, 'data_age') = '', 'unknown', JSONExtractString(r, 'data_age')) AS data_age,
        greatest(1, JSONExtractUInt(r, 'run_count')) AS run_count,
        JSONExtract(r, 'adaptive', 'Nullable(String)') AS adaptive,
        JSONExtract(r, 'method', 'Nullable(String)') AS method
    FROM
    (
        SELECT board, version, any(provisional) AS provisional, max(occurred_us) AS changed_us,
            arrayFlatten(arrayMap(p -> p.2, arraySort(groupUniqArray((part, JSONExtractArrayRaw(rows)))))) AS rows
        FROM fact_rankings
        WHERE (board, version, inputs_digest) IN (SELECT board, version, inputs_digest FROM newest_boards)
        GROUP BY board, version, inputs_digest
    )
    ARRAY JOIN rows AS r, arrayEnumerate(rows) AS position
) AS placed
LEFT JOIN run_audits AS told USING (run_id);
