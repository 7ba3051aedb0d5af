-- Requests may refuse truncation, builds say how many documents are among their own examples, and a task how many of its samples the model's
-- window truncated. The pattern is matched in JSON, in whose texts every quote is escaped: no answer's own text can look like it.

ALTER TABLE fact_requests ADD COLUMN IF NOT EXISTS no_truncation Bool AFTER model_published;
ALTER TABLE fact_builds ADD COLUMN IF NOT EXISTS own_examples Int64 AFTER config_json;

CREATE OR REPLACE VIEW requests AS SELECT * EXCEPT (log_version) FROM fact_requests FINAL;
CREATE OR REPLACE VIEW builds AS SELECT * EXCEPT (log_version) FROM fact_builds FINAL;

CREATE MATERIALIZED VIEW IF NOT EXISTS truncated_sets TO sample_sets AS
SELECT run_id, task, 'truncated' AS kind, '' AS filter, '' AS metric, repeat, groupBitmapState(toUInt64(ordinal)) AS ordinals
FROM fact_answers WHERE match(answers, '"truncated_tokens":[1-9]') GROUP BY run_id, task, repeat;

-- What was there before.
INSERT INTO sample_sets
SELECT run_id, task, 'truncated', '', '', repeat, groupBitmapState(toUInt64(ordinal))
FROM fact_answers WHERE match(answers, '"truncated_tokens":[1-9]') GROUP BY run_id, task, repeat;

CREATE OR REPLACE VIEW run_progress AS
SELECT
    run_id,
    task,
    if(max(stop_samples) > 0, max(stop_samples), max(plan_samples)) AS expected,
    sumIf(samples, kind = 'answered') AS answered,
    if(max(stop_samples) > 0, toUInt64(max(stop_samples) - max(stop_not_scored)), sumIf(samples, kind = 'scored')) AS scored,
    if(max(stop_samples) > 0, max(stop_not_scored), sumIf(samples, kind = 'not scored')) AS not_scored,
    max(plan_samples) AS planned,
    max(stop_half_width) AS half_width,
    sumIf(samples, kind = 'truncated') AS truncated
FROM
(
    SELECT run_id, JSONExtractString(t, 'task') AS task, JSONExtractUInt(t, 'samples') * JSONExtractUInt(t, 'repeats') AS plan_samples,
        'planned' AS kind, toUInt64(0) AS samples, toUInt64(0) AS stop_samples, toUInt64(0) AS stop_not_scored,
        CAST(NULL AS Nullable(Float64)) AS stop_half_width
    FROM fact_runs ARRAY JOIN JSONExtractArrayRaw(ifNull(plan, ''), 'tasks') AS t WHERE state = 'planned'
    UNION ALL
    SELECT run_id, task, 0, CAST(kind AS String), groupBitmapMerge(ordinals), 0, 0, NULL FROM sample_sets GROUP BY run_id, task, kind, repeat
    UNION ALL
    SELECT run_id, task, 0, 'stopped', 0, toUInt64(samples), toUInt64(not_scored), half_width FROM fact_stops FINAL
)
GROUP BY run_id, task;
