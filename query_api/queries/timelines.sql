-- name: attempts
SELECT
    job_id,
    attempt,
    anyIf(agent_id, agent_id != '') AS agent,
    min(occurred_us) AS began_us,
    minIf(occurred_us, state = 'running') AS ran_us,
    max(occurred_us) AS last_us,
    multiIf(countIf(state = 'finished') > 0, 'finished', countIf(state = 'failed') > 0, 'failed', countIf(state = 'cancelled') > 0,
        'cancelled', ran_us > 0, 'running', 'loading') AS outcome,
    anyIf(JSONExtractString(ifNull(error, ''), 'message'), isNotNull(error)) AS why
FROM fact_job_status
WHERE run_id = {run_id:String}
GROUP BY job_id, attempt
ORDER BY began_us, job_id, attempt

-- name: requests_over_time
SELECT
    intDiv(sent_us - {first_us:Int64}, {width_us:Int64}) AS bucket,
    count() AS sent,
    min(ttft_ns) AS least,
    quantileExact(0.5)(ttft_ns) AS middle,
    max(ttft_ns) AS most
FROM
(
    SELECT toInt64(JSONExtractInt(clock, 'utc_us') + intDiv(sent_ns - JSONExtractInt(clock, 'mono_epoch_ns'), 1000)) AS sent_us,
        first_byte_ns - sent_ns AS ttft_ns
    FROM fact_request_timings FINAL
    WHERE run_id = {run_id:String}
)
GROUP BY bucket
ORDER BY bucket

-- name: in_flight_over_time
SELECT
    arrayJoin(range(toUInt64(greatest(0, intDiv(sent_us - {first_us:Int64}, {width_us:Int64}))),
        toUInt64(greatest(0, intDiv(ended_us - {first_us:Int64}, {width_us:Int64}))) + 1)) AS bucket,
    count() AS middle
FROM
(
    SELECT JSONExtractInt(clock, 'utc_us') - intDiv(JSONExtractInt(clock, 'mono_epoch_ns'), 1000) AS zero_us,
        toInt64(zero_us + intDiv(sent_ns, 1000)) AS sent_us, toInt64(zero_us + intDiv(ended_ns, 1000)) AS ended_us
    FROM fact_request_timings FINAL
    WHERE run_id = {run_id:String}
)
GROUP BY bucket
ORDER BY bucket

-- name: gaps_over_time
SELECT
    intDiv(toInt64(zero_us + intDiv(arrived_ns, 1000)) - {first_us:Int64}, {width_us:Int64}) AS bucket,
    min(gap_ns / tokens) AS least,
    quantileExact(0.5)(gap_ns / tokens) AS middle,
    max(gap_ns / tokens) AS most
FROM
(
    SELECT job_id, attempt, gaps.1 AS gap_ns, gaps.2 AS arrived_ns, gaps.3 AS tokens
    FROM
    (
        SELECT job_id, attempt,
            arraySort(groupArray((chunk, arrived, if(empty(tokens_per_arrival), arrayWithConstant(length(arrived), 1), tokens_per_arrival)))) AS chunks,
            arrayFlatten(arrayMap(one -> one.2, chunks)) AS arrivals,
            arrayFlatten(arrayMap(one -> one.3, chunks)) AS brought,
            arraySlice(arrayZip(arrayDifference(arrivals), arrivals, brought), 2) AS between
        FROM
        (
            SELECT *, arrayCumSum(arrayPushFront(gap_ns, assumeNotNull(first_ns))) AS arrived
            FROM fact_token_timings FINAL
            WHERE run_id = {run_id:String} AND isNotNull(first_ns)
        )
        GROUP BY job_id, attempt, request_index, sequence
    )
    ARRAY JOIN between AS gaps
) AS arrived
JOIN
(
    SELECT job_id, attempt, any(JSONExtractInt(clock, 'utc_us') - intDiv(JSONExtractInt(clock, 'mono_epoch_ns'), 1000)) AS zero_us
    FROM fact_request_timings
    WHERE run_id = {run_id:String}
    GROUP BY job_id, attempt
) AS clocks USING (job_id, attempt)
GROUP BY bucket
ORDER BY bucket

-- name: answers_over_time
SELECT intDiv(occurred_us - {first_us:Int64}, {width_us:Int64}) AS bucket, count() * 1e6 / {width_us:Int64} AS middle
FROM fact_answers FINAL
WHERE run_id = {run_id:String}
GROUP BY bucket
ORDER BY bucket

-- name: resources_over_time
SELECT
    intDiv(occurred_us - {first_us:Int64}, {width_us:Int64}) AS bucket,
    whose AS scope,
    ifNull(device_uuid, '') AS device,
    avg(util_ratio) AS util,
    max(memory_bytes) AS memory,
    avg(watts) AS power
FROM
(
    -- Somebody else's processes on a device are told apart from the engine's.
    SELECT occurred_us, if(sensor = 'nvml-other', 'others', scope) AS whose, device_uuid, util_ratio, memory_bytes,
        -- µJ per ns are kW: where a device has no power meter, its energy counter's slope stands for it.
        ifNull(power_w, 1e3 * (energy_uj - any(energy_uj) OVER before) / nullIf(mono_ns - any(mono_ns) OVER before, 0)) AS watts
    FROM fact_resources FINAL
    WHERE occurred_us BETWEEN {first_us:Int64} AND {last_us:Int64} AND position(jobs_active, concat('"', {run_id:String}, '/')) > 0
    WINDOW before AS (PARTITION BY agent_id, boot_id, sensor, device_uuid ORDER BY mono_ns ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING)
)
GROUP BY bucket, scope, device
ORDER BY scope, device, bucket
