-- name: settled_ids
SELECT DISTINCT event_id FROM fact_results
WHERE state = 'completed' AND JSONExtractString(ifNull(plan, ''), 'audit_of') = '' AND (empty({run_ids:Array(String)}) OR run_id IN {run_ids:Array(String)})

-- name: settled_events
SELECT event_id, organisation_id, occurred_us, producer, run_id, state, final, inputs_digest, changed_us, plan, served_elsewhere, engine,
    environment_sha, environments, tasks, speed, speed_formula
FROM fact_results FINAL WHERE event_id IN {ids:Array(String)}

-- name: scored_ids
SELECT DISTINCT event_id FROM fact_run_scores
WHERE complete AND isNotNull(documents) AND (empty({run_ids:Array(String)}) OR run_id IN {run_ids:Array(String)})

-- name: scored_events
SELECT event_id, occurred_us, producer, run_id, task, scorer_version, complete, scored, expected, inputs_digest, figures, documents
FROM fact_run_scores FINAL WHERE event_id IN {ids:Array(String)}

-- name: environment_ids
SELECT DISTINCT event_id FROM fact_environments

-- name: environment_events
SELECT event_id, occurred_us, producer, sha, packages, driver, cpu, cpu_flags, cores, memory_bytes, devices, container_digest, os, region
FROM fact_environments FINAL WHERE event_id IN {ids:Array(String)}

-- name: price_ids
SELECT DISTINCT event_id FROM fact_prices

-- name: price_events
SELECT event_id, occurred_us, producer, item, region, currency, amount_nano, unit, valid_from_us, valid_to_us, source, version
FROM fact_prices FINAL WHERE event_id IN {ids:Array(String)}

-- name: memory_peaks
SELECT run_id, max(peak_bytes) AS peak FROM fact_model_loads
WHERE isNotNull(peak_bytes) AND (empty({run_ids:Array(String)}) OR run_id IN {run_ids:Array(String)}) GROUP BY run_id

-- name: asked_tasks
SELECT run_id, tasks FROM requests WHERE run_id IN {run_ids:Array(String)}

-- name: recommendation
SELECT * EXCEPT (log_partition, log_offset, written_us) FROM recommendations
WHERE recommendation_id = {recommendation_id:String}

-- name: recommendation_list
SELECT recommendation_id, asked_by, occurred_us AS made_us, decided, words, considered, contending, refused,
    nullIf(JSONExtractString(choices, 1, 'model'), '') AS model, nullIf(JSONExtractString(choices, 1, 'engine'), '') AS engine,
    nullIf(JSONExtractString(choices, 1, 'hardware'), '') AS hardware, JSONExtract(choices, 1, 'confidence', 'Nullable(Float64)') AS confidence
FROM recommendations

-- name: decision_list
SELECT decision_id, recommendation_id, candidate, chosen, decided.by AS by, stated_ratio, confidence, note, decided_us, reports,
    tupleElement(told, 1) AS reported_by, tupleElement(told, 2) AS before_usd_nano, tupleElement(told, 3) AS after_usd_nano,
    tupleElement(told, 4) AS before_quality, tupleElement(told, 5) AS after_quality, tupleElement(told, 6) AS satisfaction_ratio,
    tupleElement(told, 7) AS outcome_note
FROM
(
    SELECT decision_id, recommendation_id, candidate, chosen, by, stated_ratio, confidence, note, occurred_us AS decided_us
    FROM decisions
    WHERE {decision_id:String} = '' OR decision_id = {decision_id:String}
) AS decided
LEFT JOIN
(
    SELECT
        decision_id, count() AS reports,
        argMax((by, before_usd_nano, after_usd_nano, before_quality, after_quality, satisfaction_ratio, note), log_offset) AS told
    FROM outcomes
    GROUP BY decision_id
) AS reported USING (decision_id)
