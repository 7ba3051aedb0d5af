-- What a run cost by its final result stands before what it cost by one that was not final, whichever came last.

CREATE OR REPLACE VIEW cost_figures AS
SELECT
    run_id,
    formula_version,
    price_version,
    published_us,
    (complete, published_us, price_version, formula_version)
        = max((complete, published_us, price_version, formula_version)) OVER (PARTITION BY run_id) AS newest,
    JSONExtractString(f, 'metric') AS metric,
    JSONExtract(f, 'value', 'Nullable(Float64)') AS value,
    JSONExtract(f, 'unit', 'Nullable(String)') AS unit,
    JSONExtractUInt(f, 'n') AS n,
    JSONExtract(f, 'origin', 'Nullable(String)') AS origin,
    JSONExtract(f, 'why_undefined', 'Nullable(String)') AS why_undefined
FROM
(
    SELECT run_id, formula_version, price_version, max(fact.complete) AS complete, argMax(figures, (fact.complete, log_offset)) AS told
    FROM fact_costs AS fact FINAL
    GROUP BY run_id, formula_version, price_version
) AS costs
LEFT JOIN (SELECT version AS price_version, min(occurred_us) AS published_us FROM fact_prices GROUP BY version) AS versions USING (price_version)
ARRAY JOIN JSONExtractArrayRaw(told) AS f;
