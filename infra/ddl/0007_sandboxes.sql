-- Scores say behind which walls a program was run for them.

ALTER TABLE fact_scores ADD COLUMN IF NOT EXISTS sandbox Nullable(String) AFTER cluster;

CREATE OR REPLACE VIEW scores AS SELECT * EXCEPT (log_version) FROM fact_scores FINAL;
