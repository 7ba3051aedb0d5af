-- name: settled_of
SELECT event_id, organisation_id, occurred_us, producer, run_id, state, final, inputs_digest, changed_us, plan, served_elsewhere, engine,
    environment_sha, environments, tasks, speed, speed_formula
FROM fact_results FINAL
WHERE run_id IN {run_ids:Array(String)}
ORDER BY run_id, event_id

-- name: speeds_of_models
SELECT event_id, organisation_id, occurred_us, producer, run_id, state, final, inputs_digest, changed_us, plan, served_elsewhere, engine,
    environment_sha, environments, tasks, speed, speed_formula
FROM fact_results FINAL
WHERE run_id IN (SELECT run_id FROM fact_performance) AND state = 'completed' AND speed != '[]'
    AND (JSONExtractString(ifNull(plan, ''), 'model', 'uri'), JSONExtractString(ifNull(plan, ''), 'model_sha')) IN {models:Array(Tuple(String, String))}
ORDER BY occurred_us DESC, event_id
LIMIT 500

-- name: environments_by_hash
SELECT event_id, occurred_us, producer, sha, packages, driver, cpu, cpu_flags, cores, memory_bytes, devices, container_digest, os, region
FROM fact_environments FINAL
WHERE sha IN {shas:Array(String)}
ORDER BY sha, event_id

-- name: asked_loads
SELECT run_id, workload, slo FROM requests WHERE run_id IN {run_ids:Array(String)} ORDER BY run_id, event_id

-- name: retracted
SELECT DISTINCT run_id FROM fact_retractions WHERE run_id IN {run_ids:Array(String)} ORDER BY run_id

-- name: answers_apart
WITH
    arraySort(x -> (JSONExtractInt(x, 'request_index'), JSONExtractInt(x, 'draw')), JSONExtractArrayRaw(answers)) AS told,
    arrayMap(x -> JSONExtract(x, 'loglikelihood', 'Float64'), told) AS likelihoods,
    JSONExtractString(told[1], 'request_type') AS kind,
    multiIf(
        kind = 'generate_until', toString(sipHash128(arrayMap(x -> JSONExtractRaw(x, 'output'), told))),
        kind != 'loglikelihood', '',
        length(told) = 1, JSONExtractRaw(told[1], 'is_greedy'),
        toString(indexOf(likelihoods, arrayMax(likelihoods)))
    ) AS said
SELECT task, count() AS samples, countIf(one != other) AS differ
FROM
(
    SELECT task, build_id, ordinal, repeat, anyIf(said, run_id = {a:String}) AS one, anyIf(said, run_id = {b:String}) AS other
    FROM fact_answers FINAL
    WHERE run_id IN ({a:String}, {b:String}) AND visibility != 'private' AND NOT arrayExists(x -> JSONExtractRaw(x, 'error') != 'null', told)
    GROUP BY task, build_id, ordinal, repeat
    HAVING uniqExact(run_id) = 2 AND one != '' AND other != ''
)
GROUP BY task
ORDER BY task
