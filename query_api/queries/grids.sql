-- name: grid_cells
SELECT states.run_id AS run_id, states.model AS model, states.engine AS engine, states.state AS state,
    JSONExtract(loads.workload, 'concurrency', 'Nullable(Int64)') AS concurrency,
    JSONExtractInt(loads.workload, 'input_tokens') AS input_tokens, JSONExtractInt(loads.workload, 'output_tokens') AS output_tokens
FROM
(
    SELECT run_id, assumeNotNull(workload) AS workload FROM requests
    WHERE campaign = {campaign:String} AND isNotNull(workload) AND workload != 'null'
    ORDER BY run_id LIMIT {most:UInt32}
) AS loads
INNER JOIN run_states AS states USING (run_id)
ORDER BY input_tokens, output_tokens, concurrency, run_id
