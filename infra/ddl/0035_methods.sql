-- Figures of a load say what made their interval, as those of tasks do.

CREATE OR REPLACE VIEW performance_figures AS
SELECT
    run_id,
    formula_version,
    tupleElement(newest, 1) AS complete,
    JSONExtractString(f, 'metric') AS metric,
    JSONExtract(f, 'value', 'Nullable(Float64)') AS value,
    JSONExtract(f, 'low', 'Nullable(Float64)') AS low,
    JSONExtract(f, 'high', 'Nullable(Float64)') AS high,
    JSONExtractUInt(f, 'n') AS n,
    JSONExtract(f, 'unit', 'Nullable(String)') AS unit,
    JSONExtract(f, 'origin', 'Nullable(String)') AS origin,
    JSONExtract(f, 'why_undefined', 'Nullable(String)') AS why_undefined,
    JSONExtract(f, 'method', 'Nullable(String)') AS method
FROM
(
    SELECT run_id, formula_version, argMax((complete, figures), (complete, log_offset)) AS newest
    FROM fact_performance
    GROUP BY run_id, formula_version
)
ARRAY JOIN JSONExtractArrayRaw(tupleElement(newest, 2)) AS f;
