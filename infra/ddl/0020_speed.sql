-- Timings say what connecting took, when the first answer and the last token came, and what counts the tokens; readings where a counter begins again.

ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS connect_ns Nullable(Int64) AFTER client;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS tls_ns Nullable(Int64) AFTER connect_ns;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS first_answer_ns Nullable(Int64) AFTER tls_ns;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS last_token_ns Nullable(Int64) AFTER first_answer_ns;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS cached_tokens Nullable(Int64) AFTER last_token_ns;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS reasoning_tokens Nullable(Int64) AFTER cached_tokens;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS counted_by String AFTER reasoning_tokens;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS apportioned Bool AFTER counted_by;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS loop Nullable(String) AFTER apportioned;
ALTER TABLE fact_resources ADD COLUMN IF NOT EXISTS energy_range_uj Nullable(Int64) AFTER attempts;

CREATE OR REPLACE VIEW request_timings AS SELECT * EXCEPT (log_version) FROM fact_request_timings FINAL;
CREATE OR REPLACE VIEW resources AS SELECT * EXCEPT (log_version) FROM fact_resources FINAL;
