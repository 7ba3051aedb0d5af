-- Who takes a pool says where its job topic ended before. Of what a run waits for the last that was said holds, whatever its numbers are; and
-- an agent is alive by when the log wrote its heartbeat down, not by a time to come that it names.

ALTER TABLE fact_dispatchers ADD COLUMN IF NOT EXISTS begins String AFTER nonce;

CREATE OR REPLACE VIEW dispatchers AS SELECT * EXCEPT (log_version) FROM fact_dispatchers FINAL;

CREATE OR REPLACE VIEW run_states AS
SELECT
    run_id,
    if(tupleElement(folded, 1) = '', 'requested', tupleElement(folded, 1)) AS state,
    tupleElement(folded, 2) AS reason_code,
    tupleElement(folded, 3) AS message,
    if(plan = '', JSONExtractString(asked_model, 'uri'), JSONExtractString(plan, 'model', 'uri')) AS model,
    JSONExtractString(plan, 'model_sha') AS model_sha,
    if(plan = '', JSONExtractString(asked_engine, 'name'), JSONExtractString(plan, 'engine', 'name')) AS engine,
    if(plan = '', asked_suite, JSONExtractString(plan, 'suite')) AS suite,
    if(plan = '', asked_submitter, JSONExtractString(plan, 'submitter')) AS submitter,
    organisation_id,
    JSONExtractUInt(plan, 'jobs') AS jobs,
    arraySum(t -> JSONExtractUInt(t, 'samples') * JSONExtractUInt(t, 'repeats'), JSONExtractArrayRaw(plan, 'tasks')) AS expected,
    arrayMap(t -> JSONExtractString(t, 'task'), JSONExtractArrayRaw(plan, 'tasks')) AS tasks,
    JSONExtract(plan, 'perf_requests', 'Nullable(UInt64)') AS perf_requests,
    JSONExtract(plan, 'parameters', 'Nullable(UInt64)') AS parameters,
    requested_us,
    planned_us,
    changed_us,
    plan,
    if(over, NULL, tupleElement(newest, 1)) AS waits_for,
    if(over, NULL, tupleElement(newest, 2)) AS waits_code,
    if(over, NULL, tupleElement(newest, 3)) AS jobs_ahead
FROM
(
    SELECT
        *,
        -- What may follow what; a step that may not, or that came again, changes nothing.
        arrayFold(
            (known, one) -> if(
                has(
                    multiIf(
                        tupleElement(known, 1) = '', ['planned', 'rejected', 'cancelled'],
                        tupleElement(known, 1) = 'planned', ['running', 'completed', 'failed', 'cancelled'],
                        tupleElement(known, 1) = 'running', ['completed', 'failed', 'cancelled'],
                        []
                    ),
                    tupleElement(one, 2)
                ),
                (tupleElement(one, 2), tupleElement(one, 3), tupleElement(one, 4)),
                known
            ),
            -- Of several of one state the first counts, as of all events of one id.
            arrayFilter((one, place) -> indexOf(arrayMap(told -> tupleElement(told, 2), changes), tupleElement(one, 2)) = place,
                changes, arrayEnumerate(changes)),
            CAST(('', NULL, NULL), 'Tuple(String, Nullable(String), Nullable(String))')
        ) AS folded,
        tupleElement(folded, 1) IN ('rejected', 'completed', 'failed', 'cancelled') AS over
    FROM
    (
        SELECT
            run_id,
            arraySort(one -> tupleElement(one, 1), groupArrayIf(
                CAST((log_offset, told_state, told_reason, told_message), 'Tuple(UInt64, String, Nullable(String), Nullable(String))'),
                told_state != 'requested'
            )) AS changes,
            argMinIf(told_plan, log_offset, told_state = 'planned') AS plan,
            argMinIf(told_model, log_offset, told_state = 'requested') AS asked_model,
            argMinIf(told_engine, log_offset, told_state = 'requested') AS asked_engine,
            argMinIf(told_suite, log_offset, told_state = 'requested') AS asked_suite,
            argMinIf(told_submitter, log_offset, told_state = 'requested') AS asked_submitter,
            any(told_organisation) AS organisation_id,
            minIf(occurred_us, told_state = 'requested') AS requested_us,
            minIf(occurred_us, told_state = 'planned') AS planned_us,
            max(occurred_us) AS changed_us
        FROM
        (
            SELECT run_id, CAST(state AS String) AS told_state, reason_code AS told_reason, message AS told_message,
                ifNull(plan, '') AS told_plan, '' AS told_model, '' AS told_engine, '' AS told_suite, '' AS told_submitter,
                organisation_id AS told_organisation, occurred_us, log_offset
            FROM fact_runs
            UNION ALL
            SELECT run_id, 'requested', NULL, NULL, '', model, engine, ifNull(suite, ''), submitter, organisation_id, occurred_us, log_offset
            FROM fact_requests
        )
        GROUP BY run_id
    )
) AS told
LEFT JOIN
(
    -- In a tuple, for argMax passes over nulls, and null is what ends a delay.
    SELECT run_id, argMax((waits_for, reason_code, ahead), log_offset) AS newest FROM fact_delays GROUP BY run_id
) AS delay USING (run_id);

CREATE OR REPLACE VIEW agents_alive AS
SELECT
    pool,
    agent_id,
    tupleElement(newest, 8) AS incarnation,
    seen_us,
    toUnixTimestamp64Micro(now64(6)) - seen_us < 10000000 AS alive,
    tupleElement(newest, 1) AS running,
    tupleElement(newest, 2) AS models_held,
    tupleElement(newest, 3) AS devices,
    tupleElement(newest, 4) AS free_bytes,
    tupleElement(newest, 5) AS total_bytes,
    tupleElement(newest, 6) AS draining,
    tupleElement(newest, 7) AS capabilities
FROM
(
    SELECT pool, agent_id, max(least(occurred_us, written_us)) AS seen_us,
        argMax((running, models_held, devices, free_bytes, total_bytes, draining, capabilities, incarnation), log_offset) AS newest
    FROM fact_heartbeats
    -- A week of beats is kept; who has been silent for an hour is no longer shown, and all but that hour is never read.
    PREWHERE occurred_us > toUnixTimestamp64Micro(now64(6)) - 3600000000
    GROUP BY pool, agent_id
);
