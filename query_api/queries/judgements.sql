-- name: judging
SELECT run_id FROM fact_requests WHERE parent_run = {judged:String} OR against_run = {judged:String} LIMIT 1

-- name: judgement_list
SELECT run_id, state, message, model AS judge, engine, plan, requested_us, changed_us
FROM run_states
WHERE run_id IN (SELECT run_id FROM fact_requests WHERE parent_run = {judged:String} OR against_run = {judged:String})
    AND (plan = '' OR JSONType(plan, 'subject') = 'Object')
    AND ({state:String} = '' OR state = {state:String})
    AND ({judge:String} = '' OR judge = {judge:String} OR endsWith(judge, concat('/', {judge:String})))
    AND ({task:String} = '' OR has(tasks, {task:String}))

-- name: judges
SELECT run_id, plan
FROM run_states
WHERE run_id IN (SELECT run_id FROM fact_requests WHERE parent_run = {judged:String} OR against_run = {judged:String})
    AND JSONType(plan, 'subject') = 'Object'
    AND state = 'completed'
ORDER BY requested_us, run_id

-- name: figures_of
SELECT
    run_id, task, metric, filter, value, stderr, low, high, n AS samples, not_scored, complete, why_undefined, sequential, repeats, method
FROM run_figures WHERE run_id IN {run_ids:Array(String)} ORDER BY run_id, task, filter, metric
