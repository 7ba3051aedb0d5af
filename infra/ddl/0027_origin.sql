-- Requests say which licences of models they take; loads of models, which hub the files are from, and how many bytes were fetched.

ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS model_licences String AFTER adaptive;
ALTER TABLE fact_model_loads ADD COLUMN IF NOT EXISTS origin Nullable(String) AFTER server;

CREATE OR REPLACE VIEW requests AS SELECT * EXCEPT (log_version) FROM fact_requests FINAL;
CREATE OR REPLACE VIEW model_loads AS SELECT * EXCEPT (log_version) FROM fact_model_loads FINAL;
