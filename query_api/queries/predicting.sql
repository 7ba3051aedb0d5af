-- name: model_sizes
SELECT run_id, argMax(parameters, log_offset) AS parameters, argMax(weights_bytes, log_offset) AS weights_bytes,
    argMax(kv_bytes, log_offset) AS kv_bytes, max(peak_bytes) AS peak_bytes
FROM fact_model_loads GROUP BY run_id

-- name: prediction
SELECT * EXCEPT (log_partition, log_offset, written_us) FROM predictions WHERE prediction_id = {prediction_id:String}

-- name: prediction_events
SELECT * EXCEPT (log_partition, log_offset, written_us) FROM predictions ORDER BY occurred_us DESC LIMIT {limit:UInt32}

-- name: prediction_list
SELECT prediction_id, asked_by, occurred_us AS made_us, model, engine, hardware, in_flight, input_tokens, output_tokens FROM predictions

-- name: score_prediction
SELECT * EXCEPT (log_partition, log_offset, written_us) FROM score_predictions WHERE prediction_id = {prediction_id:String}

-- name: score_prediction_events
SELECT * EXCEPT (log_partition, log_offset, written_us) FROM score_predictions ORDER BY occurred_us DESC LIMIT {limit:UInt32}

-- name: score_prediction_list
SELECT prediction_id, asked_by, occurred_us AS made_us, model, family, parameters, scores FROM score_predictions

-- name: external_loads
SELECT file_sha256, place, source, model, metric, value, hardware, engine, conditions FROM external_results WHERE form = {form:String}
