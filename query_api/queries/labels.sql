-- name: label_list
SELECT task, ordinal, repeat, request, draw, judgement, metric, ifNull(against_run, '') AS against, `by`,
    argMax(value, log_offset) AS label_value, argMax(swapped, log_offset) AS label_swapped, argMax(ifNull(note, ''), log_offset) AS label_note,
    count() - 1 AS revisions, argMax(occurred_us, log_offset) AS labelled_us
FROM fact_labels FINAL
WHERE run_id = {run_id:String}
    AND ({judgement:String} = '' OR judgement = {judgement:String})
    AND ({by:String} = '' OR `by` = {by:String})
GROUP BY task, ordinal, repeat, request, draw, judgement, metric, against, `by`

-- name: labels_of
SELECT run_id, against, judgement, metric, task, ordinal, repeat, request, draw, `by`, argMax(value, log_offset) AS label_value,
    argMax(swapped, log_offset) AS label_swapped
FROM
(
    SELECT run_id, ifNull(against_run, '') AS against, judgement, metric, task, ordinal, repeat, request, draw, `by`, log_offset, value, swapped
    FROM fact_labels FINAL
    WHERE run_id IN {run_ids:Array(String)}
)
GROUP BY run_id, against, judgement, metric, task, ordinal, repeat, request, draw, `by`
ORDER BY task, ordinal, repeat, request, draw, `by`

-- name: written_answers
SELECT task, ordinal, repeat,
    arrayMap(one -> (JSONExtractInt(one, 'request_index'), JSONExtractInt(one, 'draw')),
        arrayFilter(
            one -> JSONExtractString(one, 'request_type') = 'generate_until' AND JSONType(one, 'output') = 'String' AND JSONType(one, 'error') != 'String',
            JSONExtractArrayRaw(answers)
        )) AS written
FROM fact_answers FINAL
WHERE run_id = {run_id:String}
    AND (empty({tasks:Array(String)}) OR task IN {tasks:Array(String)})
ORDER BY task, ordinal, repeat

-- name: judged_answers
SELECT ordinal, JSONExtractInt(document, 'ordinal') AS judged, JSONExtractInt(document, 'repeat') AS repeat,
    JSONExtractInt(document, 'request') AS request, JSONExtractInt(document, 'draw') AS draw,
    lengthUTF8(JSONExtractString(document, 'answer')) AS own_length, lengthUTF8(JSONExtractString(document, 'other')) AS other_length
FROM fact_samples FINAL
WHERE build_id = {build_id:String} AND JSONType(document) = 'Object'
ORDER BY ordinal

-- name: pairwise_runs
SELECT run_id, plan
FROM run_states
WHERE state = 'completed'
    AND plan != ''
    AND JSONType(plan, 'against') = 'Object'
    AND arrayExists(one -> startsWith(one, {judgement:String}), tasks)
ORDER BY requested_us, run_id

-- name: pairwise_verdicts
SELECT task, ordinal, any(cluster) AS passage, avgIf(value, metric = 'preference') AS preferred, avgIf(value, metric = 'first_preferred') AS first
FROM fact_scores FINAL
WHERE run_id = {run_id:String}
    AND task = {task:String}
    AND metric IN ('preference', 'first_preferred')
    AND value IS NOT NULL
    AND (task, scorer_version) IN
    (
        SELECT task, argMax(scorer_version, (complete, scorer_version)) FROM run_figures WHERE run_id = {run_id:String} GROUP BY task
    )
GROUP BY task, ordinal, repeat
HAVING countIf(metric = 'preference') > 0 AND countIf(metric = 'first_preferred') > 0
ORDER BY task, ordinal
