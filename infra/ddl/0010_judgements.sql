-- Requests say who shall judge their answers, and with whose they are compared.

ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS judgements String AFTER skip_missing;
ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS against_run Nullable(String) AFTER judgements;

CREATE OR REPLACE VIEW requests AS SELECT * EXCEPT (log_version) FROM fact_requests FINAL;
