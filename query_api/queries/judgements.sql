-- name: judgements
SELECT run_id, state, message, model, engine, plan, requested_us
FROM run_states
WHERE run_id IN (SELECT run_id FROM fact_requests WHERE parent_run = {run_id:String} OR against_run = {run_id:String})
ORDER BY requested_us, run_id

-- name: figures_of
SELECT run_id, task, metric, filter, value, stderr, low, high, n AS samples, not_scored, complete, why_undefined
FROM run_figures WHERE run_id IN {run_ids:Array(String)} ORDER BY run_id, task, filter, metric
