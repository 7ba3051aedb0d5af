-- Scores say which samples share a passage. Tables made before that get the column; their view is made anew to show it.

ALTER TABLE fact_scores ADD COLUMN IF NOT EXISTS cluster Nullable(String) AFTER judge;

CREATE OR REPLACE VIEW scores AS SELECT * EXCEPT (log_version) FROM fact_scores FINAL;
