-- name: act_list
SELECT at_us, kind, act_id, said_by, of, detail FROM
(
    SELECT written_us AS at_us, 'access' AS kind, event_id AS act_id, '' AS said_by, concat(member, ', ', organisation) AS of,
        if(isNull(key_hash), concat(subject, ' opens nothing any more'), concat(subject, ' opens as ', role,
            if(isNull(expires_us), '', concat(' until ', toString(toDate(fromUnixTimestamp64Micro(ifNull(expires_us, 0)))))))) AS detail
    FROM access
    UNION ALL
    SELECT written_us, 'retraction', event_id, `by`, run_id, reason FROM retractions
    UNION ALL
    SELECT max(written_us), 'prices', concat(version, ' ', source), source, version, concat(toString(count()), ' prices') FROM prices
    GROUP BY version, source
    UNION ALL
    SELECT written_us, 'requeue', event_id, '', concat(topic, ' / ', toString(`partition`), ' @ ', toString(`offset`)), ifNull(requeued_as, '')
    FROM dead_letters WHERE isNotNull(requeued_as)
    UNION ALL
    SELECT written_us, 'sealing key', event_id, '', key_id,
        if(position = 0, concat('begins chain ', chain), concat('goes on with chain ', chain, ', endorsed by the key before'))
    FROM seals WHERE position = 0 OR isNotNull(endorsement)
)
WHERE {kind:String} = '' OR kind = {kind:String}
