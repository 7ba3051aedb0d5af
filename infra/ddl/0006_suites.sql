-- Requests say their suite's version, and what is to be done about tasks that differ from their pins or cannot run.

ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS suite_version Nullable(String) AFTER pool;
ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS pinned Bool AFTER suite_version;
ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS skip_missing Bool AFTER pinned;

CREATE OR REPLACE VIEW requests AS SELECT * EXCEPT (log_version) FROM fact_requests FINAL;
