-- name: external_list
SELECT * EXCEPT (occurred_us, producer, organisation_id, visibility, trace_parent, log_partition, log_offset, written_us),
    occurred_us AS imported_us
FROM external_results
WHERE ({model:String} = '' OR model = {model:String} OR endsWith(model, concat('/', {model:String})))
    AND ({task:String} = '' OR task = {task:String})
    AND ({form:String} = '' OR form = {form:String})

-- name: external_of
SELECT model, task, metric, filter, value, unit, stderr, low, high, n, num_fewshot, form, harness_version, source, licence, measured_us,
    occurred_us AS imported_us
FROM external_results
WHERE task IN {tasks:Array(String)}
ORDER BY ifNull(measured_us, occurred_us) DESC, model, metric, filter
LIMIT {limit:UInt32}

-- name: external_history
SELECT model, task, metric, filter, value, low, high, n, unit, form, source, licence, measured_us AS at_us
FROM external_results
WHERE task = {task:String} AND ({model:String} = '' OR model = {model:String} OR endsWith(model, concat('/', {model:String})))
ORDER BY ifNull(measured_us, 0) DESC, model, metric, filter, source
LIMIT {limit:UInt32}

-- name: measured_history
SELECT figures.run_id AS run_id, states.model AS model, {task:String} AS task, figures.metric AS metric, figures.filter AS filter,
    tupleElement(told, 1) AS value, tupleElement(told, 2) AS low, tupleElement(told, 3) AS high, tupleElement(told, 4) AS n,
    tupleElement(told, 5) AS method, states.engine AS engine, states.changed_us AS at_us
FROM
(
    SELECT run_id, metric, filter, argMax((value, low, high, n, method), scorer_version) AS told
    FROM run_figures
    WHERE task = {task:String} AND complete AND isNotNull(value)
    GROUP BY run_id, metric, filter
) AS figures
INNER JOIN run_states AS states ON figures.run_id = states.run_id
WHERE states.state = 'completed'
    AND ({model:String} = '' OR states.model = {model:String} OR endsWith(states.model, concat('/', {model:String})))
ORDER BY at_us DESC, model, metric, filter, run_id
LIMIT {limit:UInt32}
