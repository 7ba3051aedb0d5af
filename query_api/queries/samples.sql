-- name: sample_lines
SELECT task, doc_id, ordinal, repeat, metric, filter, value
FROM sample_scores
WHERE run_id = {run_id:String}
    AND ({task:String} = '' OR task = {task:String})
    AND ({metric:String} = '' OR metric = {metric:String})
    AND ({filter:String} = '' OR filter = {filter:String})
    AND (isNull({doc_id:Nullable(Int64)}) OR doc_id = {doc_id:Nullable(Int64)})
    AND (isNull({min_value:Nullable(Float64)}) OR value >= {min_value:Nullable(Float64)})
    AND (isNull({max_value:Nullable(Float64)}) OR value <= {max_value:Nullable(Float64)})
ORDER BY task, ordinal, repeat, filter, metric

-- name: sample_list
SELECT task, ordinal, repeat, build_id, ifNull(least, -inf) AS value
FROM (SELECT task, ordinal, repeat, build_id FROM fact_answers FINAL WHERE run_id = {run_id:String}) AS answered
LEFT JOIN
(
    SELECT task, ordinal, repeat, min(value) AS least, toNullable(any(doc_id)) AS document
    FROM sample_scores
    WHERE run_id = {run_id:String}
        AND ({metric:String} = '' OR metric = {metric:String}) AND ({filter:String} = '' OR filter = {filter:String})
    GROUP BY task, ordinal, repeat
) AS scored USING (task, ordinal, repeat)
WHERE ({task:String} = '' OR task = {task:String})
    AND (isNull({doc_id:Nullable(Int64)}) OR document = {doc_id:Nullable(Int64)})
    AND (isNull({min_value:Nullable(Float64)}) OR least >= {min_value:Nullable(Float64)})
    AND (isNull({max_value:Nullable(Float64)}) OR least <= {max_value:Nullable(Float64)})
    AND ({differs_from:String} = '' OR (build_id, ordinal, repeat) IN
    (
        SELECT build_id, ordinal, repeat FROM fact_answers WHERE run_id = {differs_from:String}
    ))
    AND ({differs_from:String} = '' OR (task, ordinal, repeat) IN
    (
        SELECT task, ordinal, repeat
        FROM (SELECT task, ordinal, repeat, filter, metric, value AS mine FROM sample_scores WHERE run_id = {run_id:String}) AS here
        JOIN (SELECT task, ordinal, repeat, filter, metric, value AS other FROM sample_scores WHERE run_id = {differs_from:String}) AS there
        USING (task, ordinal, repeat, filter, metric)
        WHERE mine != other AND ({metric:String} = '' OR metric = {metric:String}) AND ({filter:String} = '' OR filter = {filter:String})
    ))

-- name: sample_answers
SELECT task, ordinal, repeat, seed, answers FROM fact_answers FINAL WHERE run_id = {run_id:String} AND event_id IN {event_ids:Array(String)}

-- name: sample_texts
SELECT build_id, ordinal, doc_id, document, target, requests FROM fact_samples FINAL WHERE event_id IN {event_ids:Array(String)}

-- name: sample_values
SELECT task, ordinal, repeat, filter, metric, value
FROM sample_scores
WHERE run_id = {run_id:String} AND task IN {tasks:Array(String)} AND ordinal IN {ordinals:Array(Int64)}
ORDER BY filter, metric

-- name: sample_faults
SELECT task, ordinal, repeat, reason
FROM fact_not_scored FINAL
WHERE run_id = {run_id:String} AND task IN {tasks:Array(String)} AND ordinal IN {ordinals:Array(Int64)}

-- name: contents_of
SELECT content_id, chunk, chunks, text FROM fact_contents FINAL WHERE event_id IN {event_ids:Array(String)}
