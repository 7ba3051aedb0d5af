-- What a correct answer took in energy, beside what it cost.

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
    maxIf(value, metric = 'per_correct_answer_uj') / 1e6 AS per_correct_answer_j,
    maxIf(value, metric = 'energy_uj') / 1e6 AS energy_j,
    maxIf(value, metric = 'energy_usd_nano') / 1e9 AS energy_usd,
    maxIf(value, metric = 'co2e_ug') / 1e6 AS co2e_g,
    anyIf(origin, metric = 'energy_uj') AS energy_grade
FROM cost_figures
GROUP BY run_id, price_version, published_us, formula_version, newest;
