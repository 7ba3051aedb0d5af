-- name: boards
SELECT board, any(version) AS versions, max(changed_us) AS newest_us, count() AS models
FROM ranking_rows GROUP BY board ORDER BY startsWith(board, 'task:'), newest_us DESC, board

-- name: board_list
SELECT board, any(version) AS versions, max(changed_us) AS newest_us, count() AS models
FROM ranking_rows WHERE position(board, {match:String}) > 0 GROUP BY board

-- name: ranking
SELECT * FROM ranking_rows WHERE board = {board:String} ORDER BY position
