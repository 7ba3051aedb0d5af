-- Costs: the columns that came with them (rows stored before get what a reader of their events gets), and what people ask.

ALTER TABLE fact_environments ADD COLUMN IF NOT EXISTS region String DEFAULT 'any' AFTER os;
CREATE OR REPLACE VIEW environments AS SELECT * EXCEPT (log_version) FROM fact_environments FINAL;

ALTER TABLE fact_rankings UPDATE rows = replaceRegexpAll(rows, '("environment_sha":(?:null|"[^"]*"))\\}', '\\1,"speed_run":null}')
WHERE NOT has(JSONExtractKeys(rows, 1), 'speed_run') AND JSONLength(rows) > 0 SETTINGS mutations_sync = 1;

CREATE OR REPLACE VIEW cost_figures AS
SELECT
    run_id,
    formula_version,
    price_version,
    published_us,
    (published_us, price_version, formula_version) = max((published_us, price_version, formula_version)) OVER (PARTITION BY run_id) AS newest,
    JSONExtractString(f, 'metric') AS metric,
    JSONExtract(f, 'value', 'Nullable(Float64)') AS value,
    JSONExtract(f, 'unit', 'Nullable(String)') AS unit,
    JSONExtractUInt(f, 'n') AS n,
    JSONExtract(f, 'origin', 'Nullable(String)') AS origin,
    JSONExtract(f, 'why_undefined', 'Nullable(String)') AS why_undefined
FROM
(
    SELECT run_id, formula_version, price_version, argMax(figures, log_offset) AS told
    FROM fact_costs FINAL
    GROUP BY run_id, formula_version, price_version
) AS costs
LEFT JOIN (SELECT version AS price_version, min(occurred_us) AS published_us FROM fact_prices GROUP BY version) AS versions USING (price_version)
ARRAY JOIN JSONExtractArrayRaw(told) AS f;

CREATE OR REPLACE VIEW run_costs AS
SELECT
    run_id,
    price_version,
    published_us,
    formula_version,
    newest,
    maxIf(value, metric = 'run_usd_nano') / 1e9 AS run_usd,
    maxIf(value, metric = 'per_1m_input_tokens_usd_nano') / 1e9 AS per_1m_input_tokens_usd,
    maxIf(value, metric = 'per_1m_output_tokens_usd_nano') / 1e9 AS per_1m_output_tokens_usd,
    maxIf(value, metric = 'per_1m_tokens_usd_nano') / 1e9 AS per_1m_tokens_usd,
    maxIf(value, metric = 'per_correct_answer_usd_nano') / 1e9 AS per_correct_answer_usd,
    maxIf(value, metric = 'energy_uj') / 1e6 AS energy_j,
    maxIf(value, metric = 'energy_usd_nano') / 1e9 AS energy_usd,
    maxIf(value, metric = 'co2e_ug') / 1e6 AS co2e_g,
    anyIf(origin, metric = 'energy_uj') AS energy_grade
FROM cost_figures
GROUP BY run_id, price_version, published_us, formula_version, newest;
