-- What all share, without what may not be seen: for those whose reading of fact_requests is filtered to what they may see
-- (streams/trust/visibility.py). Who sees all reads the views over which these lie.

-- The rows of runs that may be seen, ranked among themselves. Ranges of places, and which tasks a run lacks, rest on all rows of a board:
-- they are told where none is left out.
CREATE OR REPLACE VIEW seen_ranking_rows AS
SELECT
    * EXCEPT (all_rows, seen_rows, run_missing)
        REPLACE (
            if(isNull(rank), NULL, toUInt32(rank() OVER (PARTITION BY board ORDER BY rank))) AS rank,
            row_number() OVER (PARTITION BY board ORDER BY position) AS position,
            if(seen_rows = all_rows, rank_low, NULL) AS rank_low,
            if(seen_rows = all_rows, rank_high, NULL) AS rank_high
        ),
    if(seen_rows = all_rows OR empty(run_missing), run_missing, ['tasks that others on this board have']) AS missing
FROM
(
    SELECT *, count() OVER (PARTITION BY board) AS seen_rows
    FROM
    (
        SELECT * EXCEPT (missing), missing AS run_missing, count() OVER (PARTITION BY board) AS all_rows
        FROM ranking_rows
    )
    WHERE run_id IN (SELECT run_id FROM fact_requests)
);

CREATE OR REPLACE VIEW seen_boards AS
SELECT board, any(version) AS version, any(provisional) AS provisional, any(changed_us) AS changed_us, count() AS models
FROM seen_ranking_rows
GROUP BY board;

-- Machines are shared: that one is busy is told, and which runs and models of others it has is not.
CREATE OR REPLACE VIEW seen_agents AS
SELECT * REPLACE (
    concat('[', arrayStringConcat(arrayFilter(
        one -> has((SELECT groupUniqArray(run_id) FROM fact_requests), substring(JSONExtractString(one, 'job_id'), 1, 36)),
        JSONExtractArrayRaw(running)
    ), ','), ']') AS running,
    '[]' AS models_held
)
FROM agents_alive;
