-- Results of many attempts have them packed; where no record holds them, they say so.

ALTER TABLE fact_results ADD COLUMN IF NOT EXISTS attempts_packed Nullable(String) AFTER speed_formula;
ALTER TABLE fact_results ADD COLUMN IF NOT EXISTS attempts_untold Nullable(String) AFTER attempts_packed;

CREATE OR REPLACE VIEW results AS SELECT * EXCEPT (log_version) FROM fact_results FINAL;
