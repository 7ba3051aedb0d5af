-- Seals say their chain and what they are over; rows of boards and runs say whether they are sealed, retracted, or more was said of them later.

ALTER TABLE fact_seals ADD COLUMN IF NOT EXISTS chain String AFTER signature;
ALTER TABLE fact_seals ADD COLUMN IF NOT EXISTS position Int64 AFTER chain;
ALTER TABLE fact_seals ADD COLUMN IF NOT EXISTS chain_root String AFTER position;
ALTER TABLE fact_seals ADD COLUMN IF NOT EXISTS events Int64 AFTER chain_root;
ALTER TABLE fact_seals ADD COLUMN IF NOT EXISTS settled String AFTER events;
ALTER TABLE fact_seals ADD COLUMN IF NOT EXISTS scorers String AFTER settled;
ALTER TABLE fact_seals ADD COLUMN IF NOT EXISTS stretches String AFTER scorers;
ALTER TABLE fact_seals ADD COLUMN IF NOT EXISTS public_key String AFTER stretches;
ALTER TABLE fact_seals ADD COLUMN IF NOT EXISTS endorsement Nullable(String) AFTER public_key;

CREATE OR REPLACE VIEW seals AS SELECT * EXCEPT (log_version) FROM fact_seals FINAL;

-- Of several seals of a run the newest is over most: it was scored anew.
CREATE OR REPLACE VIEW run_trust AS
SELECT
    run_id,
    max(kind = 'seal') AS sealed,
    argMaxIf(told, log_offset, kind = 'seal') AS root,
    argMaxIf(key, log_offset, kind = 'seal') AS key_id,
    argMaxIf(number, log_offset, kind = 'seal') AS events,
    max(kind = 'retraction') AS retracted,
    argMinIf(told, log_offset, kind = 'retraction') AS reason,
    argMinIf(key, log_offset, kind = 'retraction') AS `by`,
    uniqExactIf(told, kind = 'late') AS quarantined
FROM
(
    SELECT run_id, 'seal' AS kind, root AS told, key_id AS key, events AS number, log_offset FROM fact_seals
    UNION ALL
    SELECT run_id, 'retraction', reason, `by`, 0, log_offset FROM fact_retractions
    UNION ALL
    SELECT run_id, 'late', event_id, '', 0, log_offset FROM fact_quarantine
)
GROUP BY run_id;

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
