-- Samples lie by their place: a page of them is then a few neighbouring rows. A table made before that is copied into one that
-- lies so; a new database's is empty. agents.project does this before it writes: where several write to one database, the others must have
-- been stopped (`assay replay --verify` names what one wrote in between).

DROP TABLE IF EXISTS placed_contents;
CREATE TABLE placed_contents AS fact_contents ENGINE = ReplacingMergeTree(log_version) ORDER BY (content_id, chunk) SETTINGS index_granularity = 64;
INSERT INTO placed_contents SELECT * FROM fact_contents;
EXCHANGE TABLES placed_contents AND fact_contents;
DROP TABLE placed_contents;

DROP TABLE IF EXISTS placed_samples;
CREATE TABLE placed_samples AS fact_samples ENGINE = ReplacingMergeTree(log_version) ORDER BY (build_id, ordinal) SETTINGS index_granularity = 128;
INSERT INTO placed_samples SELECT * FROM fact_samples;
EXCHANGE TABLES placed_samples AND fact_samples;
DROP TABLE placed_samples;

DROP TABLE IF EXISTS placed_answers;
CREATE TABLE placed_answers AS fact_answers ENGINE = ReplacingMergeTree(log_version) ORDER BY (run_id, task, ordinal, repeat, build_id) SETTINGS index_granularity = 128;
INSERT INTO placed_answers SELECT * FROM fact_answers;
EXCHANGE TABLES placed_answers AND fact_answers;
DROP TABLE placed_answers;

DROP TABLE IF EXISTS placed_scores;
CREATE TABLE placed_scores AS fact_scores ENGINE = ReplacingMergeTree(log_version) ORDER BY (run_id, task, ordinal, repeat, filter, metric, scorer_version) SETTINGS index_granularity = 1024;
INSERT INTO placed_scores SELECT * FROM fact_scores;
EXCHANGE TABLES placed_scores AND fact_scores;
DROP TABLE placed_scores;

DROP TABLE IF EXISTS placed_not_scored;
CREATE TABLE placed_not_scored AS fact_not_scored ENGINE = ReplacingMergeTree(log_version) ORDER BY (run_id, task, ordinal, repeat, scorer_version);
INSERT INTO placed_not_scored SELECT * FROM fact_not_scored;
EXCHANGE TABLES placed_not_scored AND fact_not_scored;
DROP TABLE placed_not_scored;
