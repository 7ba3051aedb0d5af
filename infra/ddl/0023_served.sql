-- Loads of models say which server elsewhere answers.

ALTER TABLE fact_model_loads ADD COLUMN IF NOT EXISTS server Nullable(String) AFTER cache_hit;

CREATE OR REPLACE VIEW model_loads AS SELECT * EXCEPT (log_version) FROM fact_model_loads FINAL;
