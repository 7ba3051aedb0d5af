-- name: act_list
SELECT *
FROM
(
    SELECT
        event_id AS act_id, occurred_us AS at_us, 'access' AS act, '' AS `by`, member AS about,
        multiIf(
            isNull(key_hash), 'opens nothing any more',
            startsWith(subject, 'oidc:'), concat('comes in by the identity provider, as ', role, ' of ', organisation),
            concat('has key ', subject, ', as ', role, ' of ', organisation)
        ) AS told
    FROM fact_access FINAL
    UNION ALL
    SELECT event_id, occurred_us, 'retraction', `by`, run_id, reason FROM fact_retractions FINAL
    UNION ALL
    SELECT event_id, occurred_us, 'cancellation', `by`, run_id, message FROM fact_cancellations FINAL
    UNION ALL
    SELECT event_id, occurred_us, 'price', '', concat(item, ', region ', region), concat('version ', version, ', by ', source) FROM fact_prices FINAL
)
WHERE ({act:String} = '' OR act = {act:String}) AND ({about:String} = '' OR about = {about:String})
