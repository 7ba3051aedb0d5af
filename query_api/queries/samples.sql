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

-- name: samples_by_place
SELECT task, ordinal, repeat FROM fact_answers FINAL WHERE run_id = {run_id:String} AND ({task:String} = '' OR task = {task:String})

-- name: samples_by_value
SELECT task, ordinal, repeat, value
FROM sample_order
WHERE run_id = {run_id:String}
    AND ({task:String} = '' OR task = {task:String})
    AND (task, metric, filter) IN {chosen:Array(Tuple(String, String, String))}
    AND (isNull({min_value:Nullable(Float64)}) OR value >= {min_value:Nullable(Float64)})
    AND (isNull({max_value:Nullable(Float64)}) OR (value <= {max_value:Nullable(Float64)} AND value > -inf))

-- name: samples_without_value
SELECT task, toInt64(arrayJoin(bitmapToArray(bitmapAndnot(answered, scored)))) AS ordinal, repeat, -inf AS value
FROM
(
    SELECT task, repeat, groupBitmapMergeStateIf(ordinals, kind = 'answered') AS answered,
        groupBitmapMergeStateIf(ordinals, kind = 'scored' AND (task, metric, filter) IN {chosen:Array(Tuple(String, String, String))}) AS scored
    FROM sample_sets
    WHERE run_id = {run_id:String} AND ({task:String} = '' OR task = {task:String})
    GROUP BY task, repeat
)

-- name: samples_scored
SELECT task, ordinal, repeat, ifNull(value, -inf) AS value
FROM fact_scores
WHERE run_id = {run_id:String}
    AND ({task:String} = '' OR task = {task:String})
    AND (task, metric, filter) IN {chosen:Array(Tuple(String, String, String))}
    AND (isNull({doc_id:Nullable(Int64)}) OR doc_id = {doc_id:Nullable(Int64)})
    AND (isNull({min_value:Nullable(Float64)}) OR fact_scores.value >= {min_value:Nullable(Float64)})
    AND (isNull({max_value:Nullable(Float64)}) OR fact_scores.value <= {max_value:Nullable(Float64)})

-- name: samples_valued
SELECT task, ordinal, repeat, assumeNotNull(fact_scores.value) AS value
FROM fact_scores FINAL
WHERE run_id = {run_id:String}
    AND ({task:String} = '' OR task = {task:String})
    AND (task, metric, filter) IN {chosen:Array(Tuple(String, String, String))}
    AND fact_scores.value IS NOT NULL

-- name: samples_differing
SELECT task, ordinal, repeat, ifNull(minIf(fact_scores.value, run_id = {run_id:String}), -inf) AS value
FROM fact_scores FINAL
WHERE run_id IN ({run_id:String}, {differs_from:String})
    AND ({task:String} = '' OR task = {task:String})
    AND (task, metric, filter) IN {chosen:Array(Tuple(String, String, String))}
    AND (isNull({doc_id:Nullable(Int64)}) OR doc_id = {doc_id:Nullable(Int64)})
GROUP BY task, ordinal, repeat
HAVING minIf(fact_scores.value, run_id = {run_id:String}) != minIf(fact_scores.value, run_id = {differs_from:String})
    AND (isNull({min_value:Nullable(Float64)}) OR value >= {min_value:Nullable(Float64)})
    AND (isNull({max_value:Nullable(Float64)}) OR value <= {max_value:Nullable(Float64)})

-- name: sample_answers
SELECT task, ordinal, repeat, build_id, seed, answers, visibility
FROM fact_answers FINAL
WHERE run_id = {run_id:String} AND (task, ordinal, repeat) IN {places:Array(Tuple(String, Int64, Int64))}

-- name: sample_texts
SELECT build_id, ordinal, doc_id, document, target, requests
FROM fact_samples FINAL
WHERE (build_id, ordinal) IN {places:Array(Tuple(String, Int64))}

-- name: sample_values
SELECT task, ordinal, repeat, filter, metric, value
FROM fact_scores FINAL
WHERE run_id = {run_id:String} AND (task, ordinal, repeat) IN {places:Array(Tuple(String, Int64, Int64))}
ORDER BY filter, metric

-- name: sample_faults
SELECT task, ordinal, repeat, reason
FROM fact_not_scored FINAL
WHERE run_id = {run_id:String} AND (task, ordinal, repeat) IN {places:Array(Tuple(String, Int64, Int64))}

-- name: contents_of
SELECT content_id, chunk, chunks, text FROM fact_contents FINAL WHERE (content_id, chunk) IN {places:Array(Tuple(String, Int64))}
