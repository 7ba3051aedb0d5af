-- When tokens came is kept as gaps, arrays of numbers that are packed, and no longer as text. Rows from before become such rows, as reading
-- makes such events of older records (schemas/measurements.py); a new database has none.

ALTER TABLE fact_token_timings ADD COLUMN IF NOT EXISTS first_ns Nullable(Int64) AFTER tokens_per_arrival;
ALTER TABLE fact_token_timings ADD COLUMN IF NOT EXISTS usual_gap_ns Int64 AFTER first_ns;
ALTER TABLE fact_token_timings ADD COLUMN IF NOT EXISTS gap_ns Array(Int64) CODEC(T64, ZSTD) AFTER usual_gap_ns;

-- Where a record told no counts, each arrival brought one token.
ALTER TABLE fact_token_timings UPDATE
    tokens_per_arrival = toString(arrayMap(at -> 1, JSONExtract(arrival_ns, 'Array(Int64)')))
WHERE arrival_ns != '[]' AND toString(tokens_per_arrival) = '[]' SETTINGS mutations_sync = 2;

ALTER TABLE fact_token_timings UPDATE
    first_ns = if(JSONLength(toString(tokens_per_arrival)) = 0, NULL, JSONExtractInt(arrival_ns, 1)),
    gap_ns = arrayPopFront(arrayDifference(
        arraySlice(JSONExtract(arrival_ns, 'Array(Int64)'), 1, JSONLength(toString(tokens_per_arrival))))),
    -- The lower of the two in the middle, where there are two.
    usual_gap_ns = arrayElement(arraySort(arrayPopFront(arrayDifference(
        arraySlice(JSONExtract(arrival_ns, 'Array(Int64)'), 1, JSONLength(toString(tokens_per_arrival)))))),
        intDiv(least(JSONLength(arrival_ns), JSONLength(toString(tokens_per_arrival))), 2)),
    tokens_per_arrival = if(
        arrayAll(n -> n = 1, arraySlice(JSONExtract(toString(tokens_per_arrival), 'Array(Int64)'), 1, JSONLength(arrival_ns))), '[]',
        toString(arraySlice(JSONExtract(toString(tokens_per_arrival), 'Array(Int64)'), 1, JSONLength(arrival_ns)))),
    arrival_ns = '[]'
WHERE arrival_ns != '[]' SETTINGS mutations_sync = 2;

ALTER TABLE fact_token_timings MODIFY COLUMN tokens_per_arrival Array(Int64) CODEC(ZSTD) SETTINGS mutations_sync = 2;

CREATE OR REPLACE VIEW token_timings AS
SELECT * EXCEPT (log_version)
    REPLACE (if(isNull(first_ns), [], arrayCumSum(arrayPushFront(gap_ns, assumeNotNull(first_ns)))) AS arrival_ns)
FROM fact_token_timings FINAL;
