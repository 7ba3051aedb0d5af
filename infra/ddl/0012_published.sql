-- Requests say when their model was published; rows of boards, whether the data are older or newer.

ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS model_published Nullable(String) AFTER stopping;

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
    JSONExtractBool(r, 'sealed') AS sealed,
    JSONExtractBool(r, 'audited') AS audited,
    JSONExtract(r, 'speed_run', 'Nullable(String)') AS speed_run,
    JSONExtractRaw(r, 'chat') AS chat,
    JSONExtractBool(r, 'sequential') AS sequential,
    if(JSONExtractString(r, 'data_age') = '', 'unknown', JSONExtractString(r, 'data_age')) AS data_age
FROM
(
    SELECT board, argMax((version, provisional, occurred_us, rows), log_offset) AS newest
    FROM fact_rankings
    GROUP BY board
)
ARRAY JOIN JSONExtractArrayRaw(tupleElement(newest, 4)) AS r, arrayEnumerate(JSONExtractArrayRaw(tupleElement(newest, 4))) AS position;
