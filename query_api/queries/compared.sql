-- name: compared
SELECT task, ordinal, any(doc_id) AS document, avg(value) AS mean, any(cluster) AS passage
FROM fact_scores FINAL
WHERE run_id = {run_id:String}
    AND (task, metric, filter) IN {chosen:Array(Tuple(String, String, String))}
    AND value IS NOT NULL
    AND (task, scorer_version) IN
    (
        SELECT task, argMax(scorer_version, (complete, scorer_version)) FROM run_figures WHERE run_id = {run_id:String} GROUP BY task
    )
GROUP BY task, ordinal
ORDER BY task, ordinal

-- name: compared_repeats
SELECT task, ordinal, arraySort(groupArray((toUInt32(repeat), value))) AS repeats
FROM fact_scores FINAL
WHERE run_id = {run_id:String}
    AND (task, metric, filter) IN {chosen:Array(Tuple(String, String, String))}
    AND value IS NOT NULL
    AND (task, scorer_version) IN
    (
        SELECT task, argMax(scorer_version, (complete, scorer_version)) FROM run_figures WHERE run_id = {run_id:String} GROUP BY task
    )
GROUP BY task, ordinal
ORDER BY task, ordinal

-- name: scored_as_of
SELECT figures.task AS task, argMax(figures.scorer_version, (figures.complete, figures.scorer_version)) AS scorer, any(progress.scored) AS samples
FROM (SELECT task, scorer_version, complete FROM run_figures WHERE run_id = {run_id:String}) AS figures
LEFT JOIN (SELECT task, scored FROM run_progress WHERE run_id = {run_id:String}) AS progress ON progress.task = figures.task
GROUP BY figures.task
ORDER BY task
