-- Samples say when they were answered, so that the record of each has its times too; where it has none, why.

ALTER TABLE fact_answers ADD COLUMN IF NOT EXISTS began_ns Nullable(Int64) AFTER answers;
ALTER TABLE fact_answers ADD COLUMN IF NOT EXISTS first_token_ns Nullable(Int64) AFTER began_ns;
ALTER TABLE fact_answers ADD COLUMN IF NOT EXISTS ended_ns Nullable(Int64) AFTER first_token_ns;

CREATE OR REPLACE VIEW answers AS SELECT * EXCEPT (log_version) FROM fact_answers FINAL;

CREATE OR REPLACE VIEW sample_facts AS
WITH
    planned AS
    (
        SELECT JSONExtractString(t, 'task') AS task, JSONExtractString(t, 'main_metric') AS metric, JSONExtractString(t, 'main_filter') AS filter
        FROM (SELECT arrayJoin(JSONExtractArrayRaw(plan, 'tasks')) AS t FROM run_states WHERE run_id = {run_id:String})
    ),
    scored AS
    (
        SELECT task, ordinal, repeat, metric, filter, argMax(value, scorer_version) AS score
        FROM scores WHERE run_id = {run_id:String}
        GROUP BY task, ordinal, repeat, metric, filter
    ),
    answered AS
    (
        SELECT
            task, ordinal, repeat, attempt,
            arraySum(a -> JSONExtractUInt(a, 'prompt_tokens'), JSONExtractArrayRaw(answers)) AS prompt_tokens,
            arraySum(a -> JSONExtractUInt(a, 'cached_prompt_tokens'), JSONExtractArrayRaw(answers)) AS cached_tokens,
            arraySum(a -> JSONExtractUInt(a, 'output_tokens'), JSONExtractArrayRaw(answers)) AS output_tokens,
            first_token_ns - began_ns AS ttft_ns,
            ended_ns - began_ns AS e2e_ns,
            multiIf(
                isNull(began_ns), 'the engine does not say when it began',
                isNotNull(first_token_ns), NULL,
                position(answers, '"request_type":"generate_until"') = 0, 'no text was written: what was given is scored at once',
                'the engine tells a text whole, and not when its first token came'
            ) AS why_untimed
        FROM answers WHERE run_id = {run_id:String}
    ),
    facts AS
    (
        SELECT
            'sample' AS kind, task, ordinal, repeat, attempt, metric, filter, score, prompt_tokens, cached_tokens, output_tokens,
            ttft_ns, e2e_ns, why_untimed
        FROM answered
        LEFT JOIN planned USING (task)
        LEFT JOIN scored USING (task, ordinal, repeat, metric, filter)
        UNION ALL
        SELECT
            'request', '', request_index, 0, attempt, '', '', NULL, toUInt64(prompt_tokens), toUInt64(ifNull(cached_tokens, 0)),
            toUInt64(output_tokens), first_byte_ns - sent_ns, ifNull(last_token_ns, ended_ns) - sent_ns,
            if(isNull(first_byte_ns), concat('no token came: ', ifNull(error_kind, status)), NULL)
        FROM request_timings WHERE run_id = {run_id:String}
    ),
    cost AS
    (
        SELECT energy_j, energy_grade, run_usd, price_version FROM run_costs WHERE run_id = {run_id:String} AND newest
    )
SELECT
    {run_id:String} AS run_id,
    facts.*,
    -- What was computed: tokens read and written, less those that a cache had. All alike, where nobody counted any.
    prompt_tokens - least(prompt_tokens, cached_tokens) + output_tokens AS work_tokens,
    if(sum(work_tokens) OVER () > 0, work_tokens / sum(work_tokens) OVER (), 1 / count() OVER ()) AS share,
    share * energy_j AS joules,
    energy_grade,
    share * run_usd AS usd,
    price_version
FROM facts
LEFT JOIN cost ON true;
