-- Readings say what a device drew while its agent had no job, and the processor time that a process or a control group has taken.

ALTER TABLE fact_resources ADD COLUMN IF NOT EXISTS idle_w Nullable(Float64) AFTER energy_range_uj;
ALTER TABLE fact_resources ADD COLUMN IF NOT EXISTS processor_s Nullable(Float64) AFTER idle_w;

CREATE OR REPLACE VIEW resources AS SELECT * EXCEPT (log_version) FROM fact_resources FINAL;
