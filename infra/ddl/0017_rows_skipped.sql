-- Builds say how many rows of their data they leave out.

ALTER TABLE fact_builds ADD COLUMN IF NOT EXISTS rows_skipped Int64 AFTER own_examples;
ALTER TABLE fact_builds ADD COLUMN IF NOT EXISTS skipped_first Nullable(String) AFTER rows_skipped;

CREATE OR REPLACE VIEW builds AS SELECT * EXCEPT (log_version) FROM fact_builds FINAL;
