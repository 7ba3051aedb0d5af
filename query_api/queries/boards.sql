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

-- name: ranking
SELECT * FROM ranking_rows WHERE board = {board:String} ORDER BY position
