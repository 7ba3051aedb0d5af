-- Timings say of which step of a sweep they are; a load's summary has its steps, and the service level that it was held to.

ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS step Nullable(Int64) AFTER loop;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS step_rate_per_s Nullable(Float64) AFTER step;
ALTER TABLE fact_performance ADD COLUMN IF NOT EXISTS steps String DEFAULT '[]' AFTER histograms;
ALTER TABLE fact_performance ADD COLUMN IF NOT EXISTS slo Nullable(String) AFTER steps;

CREATE OR REPLACE VIEW request_timings AS SELECT * EXCEPT (log_version) FROM fact_request_timings FINAL;
CREATE OR REPLACE VIEW performance AS SELECT * EXCEPT (log_version) FROM fact_performance FINAL;
