-- What is said of access says by whom.

ALTER TABLE fact_access ADD COLUMN IF NOT EXISTS `by` String AFTER quota;

CREATE OR REPLACE VIEW access AS SELECT * EXCEPT (log_version) FROM fact_access FINAL;
