-- What a thousand output tokens take in energy and water, and emit: by the energy, by making the devices, and both (SCI).

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
    maxIf(value, metric = 'per_1k_output_tokens_uwh') / 1e6 AS per_1k_output_tokens_wh,
    maxIf(value, metric = 'per_1k_output_tokens_water_nl') / 1e9 AS per_1k_output_tokens_water_l,
    maxIf(value, metric = 'per_1k_output_tokens_co2e_ug') / 1e6 AS per_1k_output_tokens_co2e_g,
    maxIf(value, metric = 'per_1k_output_tokens_embodied_ug') / 1e6 AS per_1k_output_tokens_embodied_co2e_g,
    maxIf(value, metric = 'per_1k_output_tokens_sci_ug') / 1e6 AS per_1k_output_tokens_sci_g,
    anyIf(origin, metric = 'energy_uj') AS energy_grade
FROM cost_figures
GROUP BY run_id, price_version, published_us, formula_version, newest;
