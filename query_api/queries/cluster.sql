-- name: agents
SELECT * FROM agents_alive WHERE alive ORDER BY pool, agent_id

-- name: agent_list
SELECT * FROM agents_alive WHERE alive AND ({pool:String} = '' OR pool = {pool:String})

-- name: dead_letter_count
SELECT uniqExact(event_id) AS letters FROM fact_dead_letters

-- name: dead_letter_list
SELECT topic, `partition`, `offset`, reason_code, message, written_us, payload
FROM dead_letters
WHERE ({topic:String} = '' OR topic = {topic:String}) AND ({reason_code:String} = '' OR reason_code = {reason_code:String})
