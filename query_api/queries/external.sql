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
