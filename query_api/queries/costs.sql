-- name: cost_figures
SELECT * FROM cost_figures WHERE run_id = {run_id:String} ORDER BY published_us DESC, price_version DESC, formula_version DESC, metric

-- name: newest_costs
SELECT * FROM run_costs WHERE newest AND run_id IN {run_ids:Array(String)}

-- name: price_list
SELECT item, region, currency, amount_nano, unit, valid_from_us, valid_to_us, source, version, occurred_us AS published_us
FROM prices
WHERE ({item:String} = '' OR item = {item:String}) AND ({version:String} = '' OR version = {version:String})
