-- Dead letters say how large the record is whose beginning they hold.

ALTER TABLE fact_dead_letters ADD COLUMN IF NOT EXISTS payload_bytes Nullable(Int64) AFTER requeued_as;
ALTER TABLE fact_dead_letters ADD COLUMN IF NOT EXISTS payload_sha256 Nullable(String) AFTER payload_bytes;

CREATE OR REPLACE VIEW dead_letters AS SELECT * EXCEPT (log_version) FROM fact_dead_letters FINAL;
