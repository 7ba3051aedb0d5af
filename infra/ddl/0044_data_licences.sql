-- Requests say which licences of data they take, and whether data for non-commercial use alone.

ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS data_licences String AFTER audit_ratio;
ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS non_commercial Bool AFTER data_licences;

CREATE OR REPLACE VIEW requests AS SELECT * EXCEPT (log_version) FROM fact_requests FINAL;
