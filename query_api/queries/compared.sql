-- name: compared
SELECT ordinal, any(doc_id) AS document, avg(value) AS mean, any(cluster) AS passage
FROM fact_scores FINAL
WHERE run_id = {run_id:String} AND task = {task:String} AND metric = {metric:String} AND filter = {filter:String} AND value IS NOT NULL
    AND scorer_version = (
        SELECT argMax(scorer_version, (complete, scorer_version)) FROM run_figures WHERE run_id = {run_id:String} AND task = {task:String}
    )
GROUP BY ordinal ORDER BY ordinal
