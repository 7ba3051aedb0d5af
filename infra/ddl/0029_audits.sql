-- Requests and audits say what was run again and how it compares; rows of boards say in how many audits, and in which least share, it came out equal.

ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS audit_of Nullable(String) AFTER model_licences;
ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS audit_ratio Nullable(Float64) AFTER audit_of;
ALTER TABLE fact_environments ADD COLUMN IF NOT EXISTS package_sums String AFTER region;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS samples Int64 AFTER differences;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS equal Int64 AFTER samples;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS failed Int64 AFTER equal;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS unmatched Int64 AFTER failed;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS asked Int64 AFTER unmatched;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS state Nullable(String) AFTER asked;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS tolerance Float64 AFTER state;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS differing_by String AFTER tolerance;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS differing String AFTER differing_by;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS metrics String AFTER differing;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS environment String AFTER metrics;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS seal String AFTER environment;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS settled String AFTER seal;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS key_id String AFTER settled;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS public_key String AFTER key_id;
ALTER TABLE fact_audits ADD COLUMN IF NOT EXISTS signature String AFTER public_key;

CREATE OR REPLACE VIEW requests AS SELECT * EXCEPT (log_version) FROM fact_requests FINAL;
CREATE OR REPLACE VIEW environments AS SELECT * EXCEPT (log_version) FROM fact_environments FINAL;
CREATE OR REPLACE VIEW audits AS SELECT * EXCEPT (log_version) FROM fact_audits FINAL;

-- Completed audits count, each once: by the newest report of it under a key that seals runs here; those under other keys count apart. Of
-- several the least share is told, which no further audit can better.
CREATE OR REPLACE VIEW run_audits AS
SELECT
    run_id,
    countIf(own) AS audits,
    if(audits > 0, minIf(share, own), NULL) AS equal_ratio,
    countIf(NOT own) AS other_audits,
    if(other_audits > 0, minIf(share, NOT own), NULL) AS other_equal_ratio
FROM
(
    SELECT run_id, audit_run, key_id IN (SELECT key_id FROM fact_seals) AS own, if(own, '', key_id) AS party,
        argMax((audits.state, audits.equal_ratio), log_offset) AS newest, tupleElement(newest, 1) AS came_to, tupleElement(newest, 2) AS share
    FROM audits
    GROUP BY run_id, audit_run, own, party
)
WHERE came_to = 'completed'
GROUP BY run_id;

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
    ARRAY JOIN tupleElement(newest, 4) AS r, arrayEnumerate(tupleElement(newest, 4)) AS position
) AS placed
LEFT JOIN run_audits AS told USING (run_id);
