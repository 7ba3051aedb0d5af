-- Environments say which firmware there was.

ALTER TABLE fact_environments ADD COLUMN IF NOT EXISTS firmware String AFTER package_sums;

CREATE OR REPLACE VIEW environments AS SELECT * EXCEPT (log_version) FROM fact_environments FINAL;
