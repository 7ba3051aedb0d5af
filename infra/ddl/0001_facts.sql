-- One fact table per event, and the view that people read. Written from the models by `python -m infra.clickhouse`.

CREATE TABLE IF NOT EXISTS fact_requests (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    submitter String,
    purpose LowCardinality(String),
    parent_run Nullable(String),
    campaign Nullable(String),
    model String,
    engine String,
    suite Nullable(String),
    tasks String,
    chat String,
    workload Nullable(String),
    slo Nullable(String),
    judges String,
    stop_rule Nullable(String),
    priority Int64,
    budget String,
    credential_ref Nullable(String),
    labels String,
    pool String,
    suite_version Nullable(String),
    pinned Bool,
    skip_missing Bool,
    judgements String,
    against_run Nullable(String),
    stopping Nullable(String),
    model_published Nullable(String),
    no_truncation Bool,
    adaptive Nullable(Int64),
    model_licences String,
    audit_of Nullable(String),
    audit_ratio Nullable(Float64),
    data_licences String,
    non_commercial Bool,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS requests AS SELECT * EXCEPT (log_version) FROM fact_requests FINAL;

CREATE TABLE IF NOT EXISTS fact_cancellations (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    by String,
    message String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS cancellations AS SELECT * EXCEPT (log_version) FROM fact_cancellations FINAL;

CREATE TABLE IF NOT EXISTS fact_runs (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    state LowCardinality(String),
    reason_code Nullable(String),
    message Nullable(String),
    plan Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS runs AS SELECT * EXCEPT (log_version) FROM fact_runs FINAL;

CREATE TABLE IF NOT EXISTS fact_builds (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    build_id String,
    task String,
    task_version String,
    harness_version String,
    data_sha String,
    data_source String,
    licence Nullable(String),
    fewshot Int64,
    seed Int64,
    chat_sha String,
    samples Int64,
    partition Int64,
    first_offset Int64,
    last_offset Int64,
    contents String,
    expected String,
    main_metric String,
    main_filter String,
    chance Nullable(Float64),
    config_json String,
    own_examples Int64,
    rows_skipped Int64,
    skipped_first Nullable(String),
    format String,
    questions String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS builds AS SELECT * EXCEPT (log_version) FROM fact_builds FINAL;

CREATE TABLE IF NOT EXISTS fact_contents (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    content_id String,
    media_type String,
    chunk Int64,
    chunks Int64,
    text String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (content_id, chunk)
SETTINGS index_granularity = 64;

CREATE VIEW IF NOT EXISTS contents AS SELECT * EXCEPT (log_version) FROM fact_contents FINAL;

CREATE TABLE IF NOT EXISTS fact_samples (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    build_id String,
    ordinal Int64,
    doc_id Int64,
    document String,
    requests String,
    arguments_sha String,
    target Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (build_id, ordinal)
SETTINGS index_granularity = 128;

CREATE VIEW IF NOT EXISTS samples AS SELECT * EXCEPT (log_version) FROM fact_samples FINAL;

CREATE TABLE IF NOT EXISTS fact_jobs_planned (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    pool String,
    job_id String,
    run_id String,
    job String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS jobs_planned AS SELECT * EXCEPT (log_version) FROM fact_jobs_planned FINAL;

CREATE TABLE IF NOT EXISTS fact_dispatchers (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    pool String,
    nonce String,
    begins String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS dispatchers AS SELECT * EXCEPT (log_version) FROM fact_dispatchers FINAL;

CREATE TABLE IF NOT EXISTS fact_dispatcher_beats (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    pool String,
    term Int64,
    sequence Int64,
    leaving Bool,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id)
TTL toDateTime(intDiv(occurred_us, 1000000)) + INTERVAL 1 DAY;

CREATE VIEW IF NOT EXISTS dispatcher_beats AS SELECT * EXCEPT (log_version) FROM fact_dispatcher_beats FINAL;

CREATE TABLE IF NOT EXISTS fact_jobs_released (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    pool String,
    term Int64,
    kind LowCardinality(String),
    run_id Nullable(String),
    job_id Nullable(String),
    job Nullable(String),
    attempt Int64,
    agent_id String,
    incarnation Int64,
    done String,
    not_before_us Nullable(Int64),
    deadline_us Nullable(Int64),
    nonce String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS jobs_released AS SELECT * EXCEPT (log_version) FROM fact_jobs_released FINAL;

CREATE TABLE IF NOT EXISTS fact_delays (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    pool String,
    term Int64,
    sequence Int64,
    reason_code Nullable(String),
    waits_for Nullable(String),
    ahead Nullable(Int64),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id)
TTL toDateTime(intDiv(occurred_us, 1000000)) + INTERVAL 7 DAY;

CREATE VIEW IF NOT EXISTS delays AS SELECT * EXCEPT (log_version) FROM fact_delays FINAL;

CREATE TABLE IF NOT EXISTS fact_job_status (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    pool String,
    run_id String,
    job_id String,
    attempt Int64,
    agent_id String,
    incarnation Int64,
    state LowCardinality(String),
    sequence Int64,
    final Bool,
    done String,
    error Nullable(String),
    environment_sha Nullable(String),
    engine Nullable(String),
    counts String,
    merkle_root Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS job_status AS SELECT * EXCEPT (log_version) FROM fact_job_status FINAL;

CREATE TABLE IF NOT EXISTS fact_model_loads (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    job_id String,
    attempt Int64,
    download_ns Int64,
    load_ns Int64,
    warmup_ns Int64,
    first_answer_ns Nullable(Int64),
    weights_bytes Int64,
    kv_bytes Nullable(Int64),
    peak_bytes Nullable(Int64),
    parameters Nullable(Int64),
    cache_hit Bool,
    server Nullable(String),
    origin Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS model_loads AS SELECT * EXCEPT (log_version) FROM fact_model_loads FINAL;

CREATE TABLE IF NOT EXISTS fact_environments (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    sha String,
    packages String,
    driver Nullable(String),
    cpu String,
    cpu_flags String,
    cores Int64,
    memory_bytes Int64,
    devices String,
    container_digest Nullable(String),
    os String,
    region String,
    package_sums String,
    firmware String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS environments AS SELECT * EXCEPT (log_version) FROM fact_environments FINAL;

CREATE TABLE IF NOT EXISTS fact_heartbeats (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    pool String,
    agent_id String,
    incarnation Int64,
    sequence Int64,
    devices String,
    capabilities String,
    free_bytes Int64,
    total_bytes Int64,
    models_held String,
    running String,
    draining Bool,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id)
TTL toDateTime(intDiv(occurred_us, 1000000)) + INTERVAL 7 DAY;

CREATE VIEW IF NOT EXISTS heartbeats AS SELECT * EXCEPT (log_version) FROM fact_heartbeats FINAL;

CREATE TABLE IF NOT EXISTS fact_answers (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    job_id String,
    attempt Int64,
    task String,
    build_id String,
    ordinal Int64,
    repeat Int64,
    seed Int64,
    arguments_sha String,
    answers String,
    began_ns Nullable(Int64),
    first_token_ns Nullable(Int64),
    ended_ns Nullable(Int64),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, task, ordinal, repeat, build_id)
SETTINGS index_granularity = 128;

CREATE VIEW IF NOT EXISTS answers AS SELECT * EXCEPT (log_version) FROM fact_answers FINAL;

CREATE TABLE IF NOT EXISTS fact_request_timings (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    job_id String,
    attempt Int64,
    request_index Int64,
    phase LowCardinality(String),
    clock String,
    scheduled_ns Int64,
    queued_ns Nullable(Int64),
    sent_ns Int64,
    first_byte_ns Nullable(Int64),
    ended_ns Int64,
    status String,
    prompt_tokens Int64,
    output_tokens Int64,
    error_kind Nullable(String),
    http_status Nullable(Int64),
    session Nullable(String),
    turn Nullable(Int64),
    client String,
    connect_ns Nullable(Int64),
    tls_ns Nullable(Int64),
    first_answer_ns Nullable(Int64),
    last_token_ns Nullable(Int64),
    cached_tokens Nullable(Int64),
    reasoning_tokens Nullable(Int64),
    counted_by String,
    apportioned Bool,
    loop Nullable(String),
    step Nullable(Int64),
    step_rate_per_s Nullable(Float64),
    text_tokens Nullable(Int64),
    text_reasoning_tokens Nullable(Int64),
    text_prompt_tokens Nullable(Int64),
    prompt Nullable(Int64),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS request_timings AS SELECT * EXCEPT (log_version) FROM fact_request_timings FINAL;

CREATE TABLE IF NOT EXISTS fact_token_timings (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    job_id String,
    attempt Int64,
    request_index Int64,
    sequence Int64,
    chunk Int64,
    first_token Int64,
    arrival_ns String,
    tokens_per_arrival Array(Int64) CODEC(ZSTD),
    first_ns Nullable(Int64),
    usual_gap_ns Int64,
    gap_ns Array(Int64) CODEC(T64, ZSTD),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS token_timings AS SELECT * EXCEPT (log_version) FROM fact_token_timings FINAL;

CREATE TABLE IF NOT EXISTS fact_resources (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    agent_id String,
    host String,
    boot_id String,
    mono_ns Int64,
    device_uuid Nullable(String),
    scope LowCardinality(String),
    jobs_active String,
    util_ratio Nullable(Float64),
    memory_bytes Nullable(Int64),
    power_w Nullable(Float64),
    energy_uj Nullable(Int64),
    temperature_c Nullable(Float64),
    clock_hz Nullable(Int64),
    throttle Nullable(String),
    method String,
    sensor String,
    own_cost_ns Int64,
    attempts String,
    energy_range_uj Nullable(Int64),
    idle_w Nullable(Float64),
    processor_s Nullable(Float64),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS resources AS SELECT * EXCEPT (log_version) FROM fact_resources FINAL;

CREATE TABLE IF NOT EXISTS fact_scores (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    task String,
    ordinal Int64,
    doc_id Int64,
    repeat Int64,
    scorer_version String,
    filter String,
    metric String,
    value Nullable(Float64),
    parts_json Nullable(String),
    metrics Int64,
    judge Nullable(String),
    cluster Nullable(String),
    sandbox Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, task, ordinal, repeat, filter, metric, scorer_version)
SETTINGS index_granularity = 1024;

CREATE VIEW IF NOT EXISTS scores AS SELECT * EXCEPT (log_version) FROM fact_scores FINAL;

CREATE TABLE IF NOT EXISTS fact_not_scored (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    task String,
    ordinal Int64,
    repeat Int64,
    scorer_version String,
    reason String,
    dead_letter_ref Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, task, ordinal, repeat, scorer_version);

CREATE VIEW IF NOT EXISTS not_scored AS SELECT * EXCEPT (log_version) FROM fact_not_scored FINAL;

CREATE TABLE IF NOT EXISTS fact_run_scores (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    task String,
    scorer_version String,
    complete Bool,
    scored Int64,
    expected Int64,
    inputs_digest String,
    figures String,
    documents Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS run_scores AS SELECT * EXCEPT (log_version) FROM fact_run_scores FINAL;

CREATE TABLE IF NOT EXISTS fact_stops (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    task String,
    scorer_version String,
    samples Int64,
    planned Int64,
    not_scored Int64,
    half_width Float64,
    confidence Float64,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS stops AS SELECT * EXCEPT (log_version) FROM fact_stops FINAL;

CREATE TABLE IF NOT EXISTS fact_labels (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    against_run Nullable(String),
    judgement String,
    metric String,
    task String,
    ordinal Int64,
    repeat Int64,
    request Int64,
    draw Int64,
    by String,
    value Float64,
    swapped Bool,
    note Nullable(String),
    revision Int64,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS labels AS SELECT * EXCEPT (log_version) FROM fact_labels FINAL;

CREATE TABLE IF NOT EXISTS fact_performance (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    formula_version String,
    complete Bool,
    inputs_digest String,
    figures String,
    histograms String,
    steps String,
    slo Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS performance AS SELECT * EXCEPT (log_version) FROM fact_performance FINAL;

CREATE TABLE IF NOT EXISTS fact_results (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    state LowCardinality(String),
    final Bool,
    inputs_digest String,
    changed_us Int64,
    plan Nullable(String),
    planned_at Nullable(Int64),
    through String,
    served_elsewhere Bool,
    engine Nullable(String),
    environment_sha Nullable(String),
    environments String,
    attempts String,
    tasks String,
    speed String,
    speed_formula Nullable(String),
    attempts_packed Nullable(String),
    attempts_untold Nullable(String),
    left_out String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS results AS SELECT * EXCEPT (log_version) FROM fact_results FINAL;

CREATE TABLE IF NOT EXISTS fact_progress (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    task String,
    scorer_version String,
    scored Int64,
    not_scored Int64,
    expected Int64,
    figures String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id)
TTL toDateTime(intDiv(occurred_us, 1000000)) + INTERVAL 7 DAY;

CREATE VIEW IF NOT EXISTS progress AS SELECT * EXCEPT (log_version) FROM fact_progress FINAL;

CREATE TABLE IF NOT EXISTS fact_costs (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    formula_version String,
    price_version String,
    complete Bool,
    inputs_digest String,
    figures String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS costs AS SELECT * EXCEPT (log_version) FROM fact_costs FINAL;

CREATE TABLE IF NOT EXISTS fact_rankings (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    board String,
    version String,
    tasks String,
    runs String,
    inputs_digest String,
    provisional Bool,
    rows String,
    part Int64,
    parts Int64,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS rankings AS SELECT * EXCEPT (log_version) FROM fact_rankings FINAL;

CREATE TABLE IF NOT EXISTS fact_prices (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    item String,
    region String,
    currency String,
    amount_nano Int64,
    unit String,
    valid_from_us Int64,
    valid_to_us Nullable(Int64),
    source String,
    version String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS prices AS SELECT * EXCEPT (log_version) FROM fact_prices FINAL;

CREATE TABLE IF NOT EXISTS fact_recommendations (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    recommendation_id String,
    asked_by String,
    requirement String,
    formula_version String,
    seed Int64,
    draws Int64,
    prices Nullable(String),
    as_of_us Int64,
    inputs_digest String,
    input_runs String,
    considered Int64,
    contending Int64,
    refused Int64,
    decided Bool,
    words String,
    choices String,
    rejected String,
    tradeoffs String,
    methods Nullable(String),
    knee Nullable(String),
    conflict String,
    nearest Nullable(String),
    next String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS recommendations AS SELECT * EXCEPT (log_version) FROM fact_recommendations FINAL;

CREATE TABLE IF NOT EXISTS fact_decisions (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    decision_id String,
    recommendation_id Nullable(String),
    candidate Nullable(String),
    chosen String,
    by String,
    stated_ratio Nullable(Float64),
    confidence Nullable(Float64),
    note String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS decisions AS SELECT * EXCEPT (log_version) FROM fact_decisions FINAL;

CREATE TABLE IF NOT EXISTS fact_outcomes (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    decision_id String,
    revision Int64,
    by String,
    before_usd_nano Nullable(Int64),
    after_usd_nano Nullable(Int64),
    before_quality Nullable(Float64),
    after_quality Nullable(Float64),
    satisfaction_ratio Nullable(Float64),
    note String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS outcomes AS SELECT * EXCEPT (log_version) FROM fact_outcomes FINAL;

CREATE TABLE IF NOT EXISTS fact_predictions (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    prediction_id String,
    asked_by String,
    model String,
    model_sha Nullable(String),
    parameters Int64,
    weights_bytes Int64,
    kv_bytes_per_token Int64,
    engine String,
    hardware String,
    in_flight Float64,
    input_tokens Float64,
    output_tokens Float64,
    figures String,
    unpredicted String,
    formula_version String,
    inputs_digest String,
    input_runs String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS predictions AS SELECT * EXCEPT (log_version) FROM fact_predictions FINAL;

CREATE TABLE IF NOT EXISTS fact_score_predictions (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    prediction_id String,
    asked_by String,
    model String,
    model_sha Nullable(String),
    family String,
    parameters Int64,
    known String,
    scores String,
    unpredicted String,
    formula_version String,
    inputs_digest String,
    input_runs String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS score_predictions AS SELECT * EXCEPT (log_version) FROM fact_score_predictions FINAL;

CREATE TABLE IF NOT EXISTS fact_external_results (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    file_sha256 String,
    place String,
    form String,
    source String,
    licence String,
    by String,
    model String,
    task String,
    metric String,
    filter String,
    value Float64,
    unit Nullable(String),
    stderr Nullable(Float64),
    low Nullable(Float64),
    high Nullable(Float64),
    n Nullable(Int64),
    num_fewshot Nullable(Int64),
    lower_is_better Nullable(Bool),
    harness_version Nullable(String),
    engine Nullable(String),
    hardware Nullable(String),
    conditions String,
    measured_us Nullable(Int64),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS external_results AS SELECT * EXCEPT (log_version) FROM fact_external_results FINAL;

CREATE TABLE IF NOT EXISTS fact_seals (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    job_roots String,
    root String,
    previous_seal Nullable(String),
    key_id String,
    signature String,
    chain String,
    position Int64,
    chain_root String,
    events Int64,
    settled String,
    scorers String,
    stretches String,
    public_key String,
    endorsement Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS seals AS SELECT * EXCEPT (log_version) FROM fact_seals FINAL;

CREATE TABLE IF NOT EXISTS fact_quarantine (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    topic String,
    partition Int64,
    offset Int64,
    late_event String,
    late_id String,
    seal String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS quarantine AS SELECT * EXCEPT (log_version) FROM fact_quarantine FINAL;

CREATE TABLE IF NOT EXISTS fact_audits (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    audit_run String,
    equal_ratio Float64,
    differences String,
    samples Int64,
    equal Int64,
    failed Int64,
    unmatched Int64,
    asked Int64,
    state Nullable(String),
    tolerance Float64,
    differing_by String,
    differing String,
    metrics String,
    environment String,
    seal String,
    settled String,
    key_id String,
    public_key String,
    signature String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS audits AS SELECT * EXCEPT (log_version) FROM fact_audits FINAL;

CREATE TABLE IF NOT EXISTS fact_retractions (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    run_id String,
    by String,
    reason String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (run_id, event_id);

CREATE VIEW IF NOT EXISTS retractions AS SELECT * EXCEPT (log_version) FROM fact_retractions FINAL;

CREATE TABLE IF NOT EXISTS fact_forgotten (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    organisation String,
    text_key String,
    master_key String,
    wrapped_sha256 String,
    made_us Int64,
    by String,
    reason String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS forgotten AS SELECT * EXCEPT (log_version) FROM fact_forgotten FINAL;

CREATE TABLE IF NOT EXISTS fact_access (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    subject String,
    organisation String,
    member String,
    role LowCardinality(String),
    key_hash Nullable(String),
    scopes String,
    expires_us Nullable(Int64),
    quota Nullable(Int64),
    by String,
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS access AS SELECT * EXCEPT (log_version) FROM fact_access FINAL;

CREATE TABLE IF NOT EXISTS fact_dead_letters (
    event_id String,
    organisation_id String,
    visibility LowCardinality(String),
    occurred_us Int64,
    producer String,
    trace_parent Nullable(String),
    topic String,
    partition Int64,
    offset Int64,
    reason_code String,
    message String,
    payload String,
    requeued_as Nullable(String),
    payload_bytes Nullable(Int64),
    payload_sha256 Nullable(String),
    log_partition UInt16,
    log_offset UInt64,
    log_version UInt64,
    written_us Int64
)
ENGINE = ReplacingMergeTree(log_version)
ORDER BY (event_id);

CREATE VIEW IF NOT EXISTS dead_letters AS SELECT * EXCEPT (log_version) FROM fact_dead_letters FINAL;
