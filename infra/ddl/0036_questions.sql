-- Builds name what each of their documents asks, so that plans can tell which tasks ask about the same ones.

ALTER TABLE fact_builds ADD COLUMN IF NOT EXISTS questions String AFTER format;

CREATE OR REPLACE VIEW builds AS SELECT * EXCEPT (log_version) FROM fact_builds FINAL;
