-- name: boards
SELECT board, version AS versions, changed_us AS newest_us, models
FROM newest_boards WHERE models > 0 ORDER BY startsWith(board, 'task:'), newest_us DESC, board

-- name: newest_board
SELECT board
FROM newest_boards
WHERE models > 0
ORDER BY startsWith(board, 'task:'), changed_us DESC, board
LIMIT 1

-- name: board_list
SELECT board, version AS versions, changed_us AS newest_us, models
FROM newest_boards WHERE models > 0 AND position(board, {match:String}) > 0

-- name: board_head
SELECT board, version, provisional, changed_us FROM newest_boards WHERE models > 0 AND board = {board:String}

-- name: ranking
SELECT *, ttft_p50_ns / 1e9 AS ttft_p50_s
FROM ranking_rows
WHERE board = {board:String}
    AND ({model:String} = '' OR model = {model:String} OR endsWith(model, concat('/', {model:String})))
    AND ({engine:String} = '' OR engine = {engine:String})
    AND ({hardware:String} = '' OR hardware = {hardware:String})
    AND (isNull({max_rank:Nullable(Int64)}) OR rank <= {max_rank:Nullable(Int64)})

-- name: boards_named
SELECT board FROM newest_boards WHERE board IN ({board:String}, concat('task:', {board:String}))

-- name: board_models
SELECT run_id, model, model_sha, engine, chat, rank FROM ranking_rows WHERE board = {board:String} ORDER BY position

-- name: not_on_board
SELECT run_id, argMax(ifNull(plan, ''), (occurred_us, final, log_offset)) AS settled_plan, max(changed_us) AS ended_us
FROM fact_results
WHERE state = 'completed' AND JSONExtractString(ifNull(plan, ''), 'audit_of') = ''
    AND run_id NOT IN (SELECT run_id FROM ranking_rows WHERE board = {board:String})
    AND if(
        startsWith({board:String}, 'task:'),
        position(ifNull(plan, ''), concat('"task":"', substring({board:String}, 6), '"')) > 0,
        JSONExtractString(ifNull(plan, ''), 'suite') = {board:String}
            OR (JSONExtractString(ifNull(plan, ''), 'suite') = '' AND position({board:String}, '+') > 0)
    )
GROUP BY run_id
ORDER BY ended_us DESC, run_id
LIMIT 200
