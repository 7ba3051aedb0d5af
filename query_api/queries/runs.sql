-- name: runs
SELECT
    run_id, state, reason_code, message, model, engine, suite, submitter, jobs, expected, tasks, parameters, requested_us, changed_us, waits_for,
    run_id IN (SELECT run_id FROM fact_seals) AS sealed, run_id IN (SELECT run_id FROM fact_retractions) AS retracted,
    run_id IN (SELECT run_id FROM run_audits WHERE audits > 0) AS audited, nullIf(JSONExtractString(plan, 'audit_of'), '') AS audit_of,
    arrayDistinct(arrayMap(t -> ifNull(nullIf(JSONExtractString(t, 'group'), ''), JSONExtractString(t, 'task')), JSONExtractArrayRaw(plan, 'tasks'))) AS asked
FROM run_states
WHERE ({state:String} = '' OR state = {state:String})
    AND ({model:String} = '' OR model = {model:String} OR endsWith(model, concat('/', {model:String})))
    AND ({task:String} = '' OR has(tasks, {task:String}))
    AND ({suite:String} = '' OR suite = {suite:String})
    AND ({submitter:String} = '' OR submitter = {submitter:String})
    AND ({campaign:String} = '' OR run_id IN (SELECT run_id FROM fact_requests WHERE campaign = {campaign:String}))

-- name: run
SELECT * FROM run_states WHERE run_id = {run_id:String}

-- name: unserved
SELECT run_id, pool, (SELECT groupUniqArray(pool) FROM fact_dispatchers) AS served, ifNull(heard.heard_us, 0) AS heard_us
FROM fact_requests AS asked
LEFT JOIN (SELECT pool, max(written_us) AS heard_us FROM fact_dispatcher_beats GROUP BY pool) AS heard USING (pool)
WHERE run_id IN {run_ids:Array(String)} AND heard_us < toUnixTimestamp64Micro(now64(6)) - {silent_us:Int64}

-- name: known
SELECT run_id FROM fact_requests WHERE run_id = {run_id:String} UNION DISTINCT SELECT run_id FROM fact_runs WHERE run_id = {run_id:String}

-- name: visibility
SELECT visibility FROM fact_requests WHERE run_id = {run_id:String} ORDER BY log_offset LIMIT 1

-- name: forgotten
SELECT gone.occurred_us AS at_us, gone.by AS `by`, gone.reason AS reason
FROM fact_forgotten AS gone
INNER JOIN (
    SELECT organisation_id, occurred_us FROM fact_requests
    WHERE run_id = {run_id:String} AND visibility = 'private' ORDER BY log_offset LIMIT 1
) AS asked ON gone.organisation = asked.organisation_id
WHERE gone.occurred_us >= asked.occurred_us ORDER BY at_us, gone.log_offset LIMIT 1

-- name: trust
SELECT sealed, root, key_id, events, retracted, reason, `by`, quarantined FROM run_trust WHERE run_id = {run_id:String}

-- name: audited
SELECT audits, equal_ratio, other_audits, other_equal_ratio FROM run_audits WHERE run_id = {run_id:String}

-- name: quarantine
SELECT late_event, topic, `partition`, `offset`, late_id FROM quarantine WHERE run_id = {run_id:String}
ORDER BY topic, `partition`, `offset` LIMIT 20

-- name: left_out
SELECT newest AS left_out FROM (SELECT argMax(left_out, (occurred_us, final, log_offset)) AS newest FROM fact_results WHERE run_id = {run_id:String})
WHERE newest NOT IN ('', '[]')

-- name: served
SELECT server FROM fact_model_loads WHERE run_id = {run_id:String} AND server IS NOT NULL ORDER BY log_offset LIMIT 1

-- name: origin
SELECT origin FROM fact_model_loads WHERE run_id = {run_id:String} AND origin IS NOT NULL ORDER BY log_offset LIMIT 1

-- name: planned
SELECT plan FROM fact_runs WHERE run_id = {run_id:String} AND state = 'planned' ORDER BY log_offset

-- name: progress
SELECT task, expected, answered, scored, not_scored, planned, half_width, truncated FROM run_progress WHERE run_id = {run_id:String} ORDER BY task

-- name: why_unscored
SELECT reason, count() AS samples
FROM (SELECT DISTINCT task, ordinal, repeat, substringUTF8(reason, 1, 500) AS reason FROM fact_not_scored FINAL WHERE run_id = {run_id:String})
GROUP BY reason ORDER BY samples DESC, reason LIMIT 3

-- name: progress_of
SELECT run_id, sum(expected) AS planned, sum(answered) AS got, sum(scored) + sum(not_scored) AS done
FROM run_progress WHERE run_id IN {run_ids:Array(String)} GROUP BY run_id

-- name: figures
SELECT task, metric, filter, value, stderr, low, high, n AS samples, repeats, not_scored, complete, why_undefined, sequential, method,
    between_documents, within_documents, setups, between_setups
FROM run_figures WHERE run_id = {run_id:String} ORDER BY task, filter, metric

-- name: performance
SELECT run_id, metric, value, low, high, n, unit, origin, why_undefined, complete, method
FROM performance_figures
WHERE run_id IN {run_ids:Array(String)}
ORDER BY length(formula_version), formula_version

-- name: levels
SELECT run_id, tupleElement(newest, 1) AS slo, tupleElement(newest, 2) AS steps, asked.labels AS labels
FROM (
    SELECT run_id, argMax((slo, steps), (length(formula_version), formula_version, complete, log_offset)) AS newest
    FROM fact_performance
    WHERE run_id IN {run_ids:Array(String)}
    GROUP BY run_id
) AS told
LEFT JOIN (SELECT run_id, labels FROM fact_requests FINAL WHERE run_id IN {run_ids:Array(String)}) AS asked USING (run_id)

-- name: beside_latency
SELECT run_id, tupleElement(newest, 1) AS slo,
    arrayFilter(f -> has({metrics:Array(String)}, JSONExtractString(f, 'metric')), JSONExtractArrayRaw(tupleElement(newest, 2))) AS figures
FROM (
    SELECT run_id, argMax((slo, figures), (length(formula_version), formula_version, complete, log_offset)) AS newest
    FROM fact_performance
    WHERE run_id IN {run_ids:Array(String)}
    GROUP BY run_id
)

-- name: measured
SELECT model, argMax(run_id, changed_us) AS newest
FROM run_states
WHERE run_id IN (SELECT run_id FROM fact_performance) AND state = 'completed'
GROUP BY model, model_sha
ORDER BY model
LIMIT 12

-- name: same_load
WITH loads AS
(
    SELECT run_id, ended_us, sipHash128(model, engine, workload, ifNull(slo, ''), ran) AS load
    FROM
    (
        SELECT run_id, max(changed_us) AS ended_us, argMax(
            concat(JSONExtractString(ifNull(plan, ''), 'model_sha'), ' ', ifNull(engine, ''), ' ', environments, ' ', assumeNotNull(speed_formula)),
            (occurred_us, final, log_offset)) AS ran
        FROM fact_results
        WHERE state = 'completed' AND isNotNull(speed_formula)
        GROUP BY run_id
    ) AS told
    JOIN (SELECT run_id, model, engine, assumeNotNull(workload) AS workload, slo FROM fact_requests FINAL WHERE isNotNull(workload)) AS asked
        USING (run_id)
)
SELECT run_id FROM loads
WHERE load IN (SELECT load FROM loads WHERE run_id = {run_id:String})
    AND (run_id = {run_id:String} OR run_id NOT IN (SELECT run_id FROM fact_retractions))
ORDER BY ended_us DESC, run_id
LIMIT {most:UInt32}

-- name: histograms
SELECT argMax(histograms, (complete, log_offset)) AS histograms FROM fact_performance WHERE run_id = {run_id:String} HAVING count() > 0

-- name: main_figures
SELECT run_id, task, metric, value, low, high, n, startsWith(ifNull(method, ''), 'adaptive') AS adaptive
FROM (SELECT * FROM run_figures WHERE run_id IN {run_ids:Array(String)}) AS told
JOIN
(
    SELECT run_id, JSONExtractString(t, 'task') AS task, JSONExtractString(t, 'main_metric') AS metric, JSONExtractString(t, 'main_filter') AS filter
    FROM fact_runs ARRAY JOIN JSONExtractArrayRaw(ifNull(plan, ''), 'tasks') AS t
    WHERE state = 'planned' AND run_id IN {run_ids:Array(String)}
) AS main USING (run_id, task, metric, filter)
ORDER BY run_id, task

-- name: jobs_of
SELECT run_id, uniqExactIf(job_id, state = 'finished') AS finished, groupUniqArrayIf(agent_id, agent_id != '') AS agents
FROM fact_job_status
WHERE run_id IN {run_ids:Array(String)}
GROUP BY run_id

-- name: request
SELECT * FROM fact_requests FINAL WHERE run_id = {run_id:String}

-- name: builds_of
SELECT build_id, task, task_version, harness_version, data_sha, data_source, licence, fewshot, seed, chat_sha, format
FROM fact_builds FINAL
WHERE build_id IN {build_ids:Array(String)}
ORDER BY task, seed, format

-- name: environments_of
SELECT sha, packages, driver, cpu, cores, memory_bytes, devices, os
FROM fact_environments FINAL
WHERE sha IN (SELECT environment_sha FROM fact_job_status WHERE run_id = {run_id:String} AND environment_sha IS NOT NULL)

-- name: active_runs
SELECT * EXCEPT (plan), nullIf(JSONExtractString(plan, 'audit_of'), '') AS audit_of,
    arrayDistinct(arrayMap(t -> ifNull(nullIf(JSONExtractString(t, 'group'), ''), JSONExtractString(t, 'task')), JSONExtractArrayRaw(plan, 'tasks'))) AS asked
FROM run_states
WHERE state IN ('requested', 'planned', 'running')
ORDER BY state = 'running' DESC, requested_us, run_id
LIMIT 200

-- name: ended_runs
SELECT * EXCEPT (plan), nullIf(JSONExtractString(plan, 'audit_of'), '') AS audit_of,
    arrayDistinct(arrayMap(t -> ifNull(nullIf(JSONExtractString(t, 'group'), ''), JSONExtractString(t, 'task')), JSONExtractArrayRaw(plan, 'tasks'))) AS asked
FROM run_states
WHERE state NOT IN ('requested', 'planned', 'running')
ORDER BY changed_us DESC, run_id
LIMIT {limit:UInt32}
