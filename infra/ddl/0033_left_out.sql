-- What could not be worked out of a completed run is told in its result.

ALTER TABLE fact_results ADD COLUMN IF NOT EXISTS left_out String AFTER attempts_untold;

CREATE OR REPLACE VIEW results AS SELECT * EXCEPT (log_version) FROM fact_results FINAL;
