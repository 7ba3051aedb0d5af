-- name: audit_list
SELECT run_id, audit_of, share, state, message, model, submitter, requested_us, changed_us
FROM
(
    SELECT run_id, state, message, model, submitter, requested_us, changed_us
    FROM run_states
    WHERE run_id IN (SELECT run_id FROM fact_requests WHERE isNotNull(audit_of))
) AS told
JOIN
(
    SELECT run_id, ifNull(argMin(audit_of, log_offset), '') AS audit_of, ifNull(tupleElement(argMin(tuple(audit_ratio), log_offset), 1), 1) AS share
    FROM fact_requests AS asked
    WHERE isNotNull(asked.audit_of) AND ({of:String} = '' OR asked.audit_of = {of:String} OR run_id = {of:String})
    GROUP BY run_id
) AS asked USING (run_id)

-- name: audits_of
SELECT run_id FROM fact_requests WHERE audit_of = {of:String} OR (run_id = {of:String} AND isNotNull(audit_of)) LIMIT 1

-- name: audit_reports
SELECT *, key_id IN (SELECT key_id FROM fact_seals) AS own
FROM audits WHERE audit_run IN {audit_runs:Array(String)}
ORDER BY audit_run, log_offset, key_id
