-- name: boards
SELECT board, any(version) AS versions, max(changed_us) AS newest_us, count() AS models
FROM ranking_rows GROUP BY board ORDER BY startsWith(board, 'task:'), newest_us DESC, board

-- name: newest_board
SELECT board
FROM (SELECT board, argMax((occurred_us, rows), log_offset) AS newest FROM fact_rankings GROUP BY board)
WHERE tupleElement(newest, 2) != '[]'
ORDER BY startsWith(board, 'task:'), tupleElement(newest, 1) DESC, board
LIMIT 1

-- name: board_list
SELECT board, any(version) AS versions, max(changed_us) AS newest_us, count() AS models
FROM ranking_rows WHERE position(board, {match:String}) > 0 GROUP BY board

-- name: board_head
SELECT DISTINCT board, version, provisional, changed_us FROM ranking_rows WHERE board = {board:String}

-- name: ranking
SELECT *, ttft_p50_ns / 1e9 AS ttft_p50_s
FROM ranking_rows
WHERE board = {board:String}
    AND ({model:String} = '' OR model = {model:String} OR endsWith(model, concat('/', {model:String})))
    AND ({engine:String} = '' OR engine = {engine:String})
    AND ({hardware:String} = '' OR hardware = {hardware:String})
    AND (isNull({max_rank:Nullable(Int64)}) OR rank <= {max_rank:Nullable(Int64)})
