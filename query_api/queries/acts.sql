-- name: act_list
SELECT act_id, at_us, kind, `by`, about, told FROM
(
    SELECT
        event_id AS act_id, written_us AS at_us, 'access' AS kind, `by`, concat(member, ', ', organisation) AS about,
        multiIf(
            isNull(key_hash), concat(subject, ' opens nothing any more'),
            startsWith(subject, 'oidc:'), concat('comes in by the identity provider, as ', role),
            concat(subject, ' opens as ', role, if(isNull(expires_us), '', concat(' until ', toString(toDate(fromUnixTimestamp64Micro(ifNull(expires_us, 0)))))))
        ) AS told
    FROM access
    UNION ALL
    SELECT event_id, written_us, 'retraction', `by`, run_id, reason FROM retractions
    UNION ALL
    SELECT event_id, written_us, 'cancellation', `by`, run_id, message FROM cancellations
    UNION ALL
    SELECT concat(version, ' ', source), max(written_us), 'prices', '', version, concat(toString(count()), if(count() = 1, ' price', ' prices'), ', by ', source) FROM prices
    GROUP BY version, source
    UNION ALL
    SELECT event_id, written_us, 'requeue', '', concat(topic, ' / ', toString(`partition`), ' @ ', toString(`offset`)), ifNull(requeued_as, '')
    FROM dead_letters WHERE isNotNull(requeued_as)
    UNION ALL
    SELECT event_id, written_us, 'forgotten texts', `by`, organisation, concat('key ', text_key, ' is destroyed: ', reason) FROM forgotten
    UNION ALL
    SELECT event_id, written_us, 'sealing key', '', key_id,
        if(position = 0, concat('begins chain ', chain), concat('goes on with chain ', chain, ', endorsed by the key before'))
    FROM seals WHERE position = 0 OR isNotNull(endorsement)
)
WHERE ({kind:String} = '' OR kind = {kind:String}) AND ({about:String} = '' OR about = {about:String})
