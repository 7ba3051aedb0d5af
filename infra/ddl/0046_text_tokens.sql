-- Timings say how many tokens the texts have, beside what the server told, and which of a data set's prompts it was.

ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS text_tokens Nullable(Int64) AFTER step_rate_per_s;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS text_reasoning_tokens Nullable(Int64) AFTER text_tokens;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS text_prompt_tokens Nullable(Int64) AFTER text_reasoning_tokens;
ALTER TABLE fact_request_timings ADD COLUMN IF NOT EXISTS prompt Nullable(Int64) AFTER text_prompt_tokens;

CREATE OR REPLACE VIEW request_timings AS SELECT * EXCEPT (log_version) FROM fact_request_timings FINAL;
