-- name: agents
SELECT * FROM agents_alive WHERE alive ORDER BY pool, agent_id

-- name: agent_list
SELECT * FROM agents_alive WHERE alive AND ({pool:String} = '' OR pool = {pool:String})

-- name: dead_letter_count
SELECT uniqExact(event_id) AS letters FROM fact_dead_letters
WHERE (topic, `partition`, `offset`) NOT IN (SELECT topic, `partition`, `offset` FROM fact_dead_letters WHERE reason_code = 'requeued')

-- name: dead_letter_list
SELECT topic, `partition`, `offset`, reason_code, message, written_us, payload, payload_bytes
FROM dead_letters
WHERE requeued_as IS NULL AND ({topic:String} = '' OR topic = {topic:String}) AND ({reason_code:String} = '' OR reason_code = {reason_code:String})
