-- name: runs
SELECT run_id, state, reason_code, message, model, engine, suite, submitter, jobs, expected, tasks, parameters, requested_us, changed_us
FROM run_states
WHERE ({state:String} = '' OR state = {state:String}) AND ({before:String} = '' OR run_id < {before:String})
ORDER BY run_id DESC
LIMIT {limit:UInt32}

-- name: run
SELECT * FROM run_states WHERE run_id = {run_id:String}

-- name: progress
SELECT task, expected, answered, scored, not_scored FROM run_progress WHERE run_id = {run_id:String} ORDER BY task

-- name: progress_of
SELECT run_id, sum(expected) AS planned, sum(answered) AS got, sum(scored) + sum(not_scored) AS done
FROM run_progress WHERE run_id IN {run_ids:Array(String)} GROUP BY run_id

-- name: figures
SELECT task, metric, filter, value, stderr, low, high, n AS samples, not_scored, complete, why_undefined
FROM run_figures WHERE run_id = {run_id:String} ORDER BY task, filter, metric

-- name: performance
SELECT metric, value, low, high, n, unit, origin, why_undefined, complete FROM performance_figures WHERE run_id = {run_id:String}
ORDER BY formula_version

-- name: measured
SELECT model, argMax(run_id, changed_us) AS newest
FROM run_states
WHERE run_id IN (SELECT run_id FROM fact_performance) AND state = 'completed'
GROUP BY model, model_sha
ORDER BY model
LIMIT 12

-- name: histograms
SELECT argMax(histograms, (complete, log_offset)) AS histograms FROM fact_performance WHERE run_id = {run_id:String} HAVING count() > 0

-- name: samples
SELECT task, doc_id, ordinal, repeat, metric, filter, value
FROM sample_scores
WHERE run_id = {run_id:String} AND ({task:String} = '' OR task = {task:String})
ORDER BY task, ordinal, repeat, filter, metric

-- name: boards
SELECT board, any(version) AS versions, max(changed_us) AS newest_us, count() AS models
FROM ranking_rows GROUP BY board ORDER BY startsWith(board, 'task:'), newest_us DESC, board

-- name: ranking
SELECT * FROM ranking_rows WHERE board = {board:String} ORDER BY position

-- name: agents
SELECT * FROM agents_alive WHERE alive ORDER BY pool, agent_id

-- name: dead_letter_count
SELECT uniqExact(event_id) AS letters FROM fact_dead_letters

-- name: dead_letters
SELECT topic, `partition`, `offset`, reason_code, message, written_us, payload
FROM dead_letters ORDER BY written_us DESC LIMIT {limit:UInt32}
