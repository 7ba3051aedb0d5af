-- Samples say what answer is expected of them.

ALTER TABLE fact_samples ADD COLUMN IF NOT EXISTS target Nullable(String) AFTER arguments_sha;

CREATE OR REPLACE VIEW samples AS SELECT * EXCEPT (log_version) FROM fact_samples FINAL;
