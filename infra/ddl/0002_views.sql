-- What people ask: states, figures, rankings (progress: 0009). Every view is right whatever has been inserted twice.

CREATE OR REPLACE VIEW run_states AS
SELECT
    run_id,
    multiIf(terminal != '', terminal, running, 'running', planned, 'planned', 'requested') AS state,
    reason_code,
    message,
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
    if(terminal != '', NULL, tupleElement(newest, 1)) AS waits_for,
    if(terminal != '', NULL, tupleElement(newest, 2)) AS waits_code,
    if(terminal != '', NULL, tupleElement(newest, 3)) AS jobs_ahead
FROM
(
    SELECT
        run_id,
        argMinIf(told_state, log_offset, told_state IN ('rejected', 'completed', 'failed', 'cancelled')) AS terminal,
        countIf(told_state = 'running') > 0 AS running,
        countIf(told_state = 'planned') > 0 AS planned,
        argMinIf(told_reason, log_offset, told_state IN ('rejected', 'completed', 'failed', 'cancelled')) AS reason_code,
        argMinIf(told_message, log_offset, told_state IN ('rejected', 'completed', 'failed', 'cancelled')) AS message,
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
        SELECT run_id, CAST(state AS String) AS told_state, reason_code AS told_reason, message AS told_message, ifNull(plan, '') AS told_plan,
            '' AS told_model, '' AS told_engine, '' AS told_suite, '' AS told_submitter, organisation_id AS told_organisation,
            occurred_us, log_offset
        FROM fact_runs
        UNION ALL
        SELECT run_id, 'requested', NULL, NULL, '', model, engine, ifNull(suite, ''), submitter, organisation_id, occurred_us, log_offset
        FROM fact_requests
    )
    GROUP BY run_id
) AS told
LEFT JOIN
(
    -- In a tuple, for argMax passes over nulls, and null is what ends a delay.
    SELECT run_id, argMax((waits_for, reason_code, ahead), (term, sequence)) AS newest FROM fact_delays GROUP BY run_id
) AS delay USING (run_id);

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
    JSONExtract(f, 'why_undefined', 'Nullable(String)') AS why_undefined
FROM
(
    SELECT run_id, task, scorer_version, argMax((complete, scored, expected, figures), (complete, scored, log_offset)) AS newest
    FROM fact_run_scores
    GROUP BY run_id, task, scorer_version
)
ARRAY JOIN JSONExtractArrayRaw(tupleElement(newest, 4)) AS f;

CREATE OR REPLACE VIEW performance_figures AS
SELECT
    run_id,
    formula_version,
    tupleElement(newest, 1) AS complete,
    JSONExtractString(f, 'metric') AS metric,
    JSONExtract(f, 'value', 'Nullable(Float64)') AS value,
    JSONExtract(f, 'low', 'Nullable(Float64)') AS low,
    JSONExtract(f, 'high', 'Nullable(Float64)') AS high,
    JSONExtractUInt(f, 'n') AS n,
    JSONExtract(f, 'unit', 'Nullable(String)') AS unit,
    JSONExtract(f, 'origin', 'Nullable(String)') AS origin,
    JSONExtract(f, 'why_undefined', 'Nullable(String)') AS why_undefined
FROM
(
    SELECT run_id, formula_version, argMax((complete, figures), (complete, log_offset)) AS newest
    FROM fact_performance
    GROUP BY run_id, formula_version
)
ARRAY JOIN JSONExtractArrayRaw(tupleElement(newest, 2)) AS f;

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
    JSONExtractRaw(r, 'chat') AS chat
FROM
(
    SELECT board, argMax((version, provisional, occurred_us, rows), log_offset) AS newest
    FROM fact_rankings
    GROUP BY board
)
ARRAY JOIN JSONExtractArrayRaw(tupleElement(newest, 4)) AS r, arrayEnumerate(JSONExtractArrayRaw(tupleElement(newest, 4))) AS position;

CREATE OR REPLACE VIEW sample_scores AS
SELECT run_id, task, ordinal, doc_id, repeat, scorer_version, filter, metric, value FROM fact_scores FINAL;

CREATE OR REPLACE VIEW agents_alive AS
SELECT
    pool,
    agent_id,
    newest_incarnation AS incarnation,
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
    SELECT pool, agent_id, max(incarnation) AS newest_incarnation, max(occurred_us) AS seen_us,
        argMax((running, models_held, devices, free_bytes, total_bytes, draining, capabilities), (incarnation, sequence)) AS newest
    FROM fact_heartbeats
    -- A week of beats is kept; who has been silent for an hour is no longer shown, and all but that hour is never read.
    PREWHERE occurred_us > toUnixTimestamp64Micro(now64(6)) - 3600000000
    GROUP BY pool, agent_id
);
