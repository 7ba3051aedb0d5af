"""Every setting of every process, read once in its `__main__` and passed down."""

from pathlib import Path
from typing import Any, Final, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_serializer, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.numbers import real, shown, whole

PREFIX: Final = "ASSAY_"
ADDRESSES: Final = ("registry", "clickhouse", "api", "oidc_issuer")
LARGEST: Final = 10**9  # seconds, or whatever is no whole number: 30 years, which every clock can wait for


def _number(name: str, told: Any, field: FieldInfo | None) -> Any:
    """A number that is written as a text, read as everywhere here; anything else as it is. Raises: ValueError, with the variable."""
    kinds = {field.annotation, *get_args(field.annotation)} & {int, float} if field else set()
    if not isinstance(told, str) or not kinds:
        return told
    try:
        if int in kinds:
            return whole(told)
        if abs(number := real(told)) > LARGEST:
            raise ValueError(f"is more than {LARGEST:,}")
    except ValueError as error:
        raise ValueError(f"{PREFIX}{name.upper()}={shown(told)} {error}") from error
    return number


def wrong(error: ValidationError) -> str:
    """What is wrong with the settings, the first of it, with its variable."""
    first = error.errors()[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    name = "_".join(map(str, first["loc"])).upper()
    return f"{PREFIX}{name}={shown(first['input'])}: {first['msg'].replace('Input should', 'it should')}; docs/settings.md tells of it"


class Settings(BaseSettings):
    """Settings of all processes; each is an environment variable `ASSAY_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _in_digits(cls, told: Any) -> Any:
        return {name: _number(name, value, cls.model_fields.get(name)) for name, value in told.items()} if isinstance(told, dict) else told

    @model_validator(mode="after")
    def _without_passwords(self) -> Self:
        """Addresses are told in errors, logs and pages; a password has a setting of its own. Raises: ValueError, without it."""
        for name in ADDRESSES:
            variable, address = f"{PREFIX}{name.upper()}", getattr(self, name)
            try:
                password = urlsplit(address).password
            except ValueError as error:
                raise ValueError(f"{variable}={shown(address)} is no address: {error}") from error
            if password is not None:
                raise ValueError(f"{variable} holds a password: leave it out of the address, and set it where docs/settings.md says")
        return self

    home: Path = Field(default=Path(".assay"), description="Folder of the embedded stack's state: log, database, models, logs.")
    organisation: str = Field(default="local", description="Organisation that this process's own events belong to.")
    kafka: str = Field(default="127.0.0.1:19092", description="Bootstrap servers of Kafka, host:port, comma-separated.")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How Kafka is spoken to: PLAINTEXT, SSL (TLS), SASL_PLAINTEXT (a password) or SASL_SSL (both)."
    )
    kafka_ca: Path | None = Field(default=None, description="PEM file of who signs Kafka's certificates; unset: the system's list.")
    kafka_certificate: Path | None = Field(default=None, description="PEM file of this client's own certificate, where Kafka asks for one.")
    kafka_key: Path | None = Field(default=None, description="PEM file of that certificate's key; unset: it is in the same file.")
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How a password is proved to Kafka: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."
    )
    kafka_user: str = Field(default="", description="Kafka user.")
    kafka_password: SecretStr = Field(default=SecretStr(""), description="Kafka password; never logged.")
    kafka_password_file: Path | None = Field(default=None, description="File that holds the Kafka password; it counts before the other.")
    partitions: int = Field(
        default=4, ge=1, le=10_000,
        description="Partitions that topics get when they are made, fixed for life (docs/operations.md); 64 in production.",
    )  # fmt: skip
    replication: int = Field(default=1, ge=1, description="Copies of each partition that topics get when they are made; 3 in production.")
    min_insync: int = Field(default=1, ge=1, description="Copies that must hold a record before it is acknowledged; 2 in production.")
    quota_bytes_per_s: int | None = Field(
        default=None, ge=65_536,
        description="Bytes that a client of Kafka may write, and read, a second, where it has no quota of its own there; unset: as it is.",
    )  # fmt: skip
    registry: str = Field(default="http://127.0.0.1:18081", description="Address of the schema registry; https: by TLS.")
    registry_ca: Path | None = Field(
        default=None, description="PEM file of who signs the registry's certificate; unset: the system's list."
    )
    registry_user: str = Field(default="", description="User of the schema registry; empty: it asks for none.")
    registry_password: SecretStr = Field(default=SecretStr(""), description="Password of the schema registry's user; never logged.")
    registry_password_file: Path | None = Field(default=None, description="File that holds that password; it counts before the other.")
    registry_certificate: Path | None = Field(
        default=None, description="PEM file of key and certificate that our own registry shows, where its address is https."
    )
    clickhouse: str = Field(default="http://127.0.0.1:18123", description="Address of ClickHouse's HTTP interface; https: by TLS.")
    clickhouse_ca: Path | None = Field(
        default=None, description="PEM file of who signs ClickHouse's certificate; unset: the system's list."
    )
    clickhouse_user: str = Field(default="default", description="ClickHouse user.")
    clickhouse_password: SecretStr = Field(default=SecretStr(""), description="ClickHouse password; never logged.")
    clickhouse_password_file: Path | None = Field(default=None, description="File that holds that password; it counts before the other.")
    database: str = Field(default="assay", description="ClickHouse database of the projections.")
    api: str = Field(default="http://127.0.0.1:18000", description="Address of the query API: where it listens, and where clients find it.")
    api_door: Literal["auto", "open", "closed"] = Field(
        default="auto",
        description="Whether the query API wants keys: closed, open (never beyond a trusted machine), or auto: beyond loopback.",
    )
    api_proxies: str = Field(
        default="127.0.0.1,::1",
        description="Addresses, or networks, of proxies before the query API: what they say of who asks, and whether by TLS, counts.",
    )
    api_key: SecretStr = Field(default=SecretStr(""), description="API key that the command line and clients show; never logged.")
    api_rate: int = Field(default=600, ge=1, description="Requests that a key may make in a minute, where it has no quota of its own.")
    api_rates: str = Field(
        default="memory://",
        repr=False,
        description="Where requests are counted: memory://, or redis://HOST:PORT where several API processes share it.",
    )
    session_secret: SecretStr = Field(
        default=SecretStr(""),
        description="What signs browsers' sessions, 32 letters or more; unset: a file of the home, made once. Never logged.",
    )
    oidc_issuer: str = Field(
        default="", description="Address of the identity provider by which people and programs may sign in (docs/access.md); empty: none."
    )
    oidc_client_id: str = Field(default="", description="Name under which the identity provider knows the query API.")
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="The query API's secret at the identity provider, where it has one; never logged."
    )
    oidc_audience: str = Field(
        default="", description="For whom the identity provider's tokens of programs may be made out, beside the client id."
    )
    oidc_claim: str = Field(
        default="email", description="Claim of the identity provider's tokens that names a member; an email must be verified."
    )
    reader_url: str = Field(
        default="",
        description="Address of a server with OpenAI's interface whose model reads sentences into requirements; empty: rules alone.",
    )
    reader_model: str = Field(default="", description="Name of that model at its server.")
    reader_key: SecretStr = Field(default=SecretStr(""), description="The key that its server wants, where it wants one; never logged.")
    oidc_groups_claim: str = Field(
        default="groups", description="Claim of the identity provider's tokens that names a member's groups, which may be admitted whole."
    )
    datasets: Path | None = Field(
        default=None, description="Folder of data sets as JSON Lines (an air-gapped mirror); unset: the Hugging Face hub."
    )
    pool: str = Field(default="default", description="Pool that a gpu_agent or dispatcher works for.")
    agent_id: str = Field(default="", description="Name of a gpu_agent; empty: the host's name and a number.")
    region: str = Field(default="any", description="Region of a gpu_agent, by which its prices are looked up; any: prices without one.")
    container_digest: str = Field(
        default="",
        description="Digest of the image of a gpu_agent's container, for audits; empty: as Podman tells it, else unknown.",
    )
    device: str = Field(default="auto", description="Device that engines run on: auto, cpu, cuda, mps, xpu.")
    engine: str = Field(default="transformers", description="Engine whose libraries a gpu_agent loads before its first job; empty: none.")
    share_models: str = Field(
        default="",
        description="Where a gpu_agent gives the files of its cached models to other agents, host:port; empty: nowhere (docs/models.md).",
    )
    peers: str = Field(
        default="", description="Agents that are asked for a model's files before the hub is: http://host:port, several with commas."
    )
    beat_s: float = Field(default=1.0, description="Seconds between two heartbeats of a gpu_agent.")
    meter_hz: float = Field(
        default=10.0, gt=0, le=1000, description="How often a second a gpu_agent reads its meters while a job runs (docs/speed.md)."
    )
    rated_w: float | None = Field(
        default=None, gt=0,
        description="Rated power of this machine's processors, W: where no counter tells their energy it is estimated from it; unset: not.",
    )  # fmt: skip
    lease_s: float = Field(default=8.0, description="Seconds of silence after which an agent counts as dead.")
    max_attempts: int = Field(default=3, description="Attempts of a job before its run fails.")
    samples_per_job: int = Field(default=256, description="Samples of a task that one job takes at most.")
    batch_events: int = Field(default=2000, description="Events that a stream processor takes at once, at most.")
    batch_s: float = Field(default=0.25, description="Seconds that a stream processor waits for a batch to fill.")
    snapshots: str = Field(
        default="",
        description="Where processors keep snapshots of their state: a folder or object storage (file:///…, s3://…); empty: the home.",
    )
    aggregate_limit_s: float = Field(
        default=900.0, gt=0, description="Seconds that aggregating one metric of a task may take; then it has no value, and says so."
    )
    hang_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds in which a stream processor must get on with what it has in hand or to read; else it is started anew.",
    )
    snapshot_s: float = Field(default=30.0, gt=0, description="Seconds between two snapshots of a processor's state, at least.")
    load_processes: int | None = Field(
        default=None, ge=1, le=64,
        description="Processes of an agent that send a load on a server; unset: as many as its rate wants, no more than there are cores.",
    )  # fmt: skip
    build_processes: int = Field(
        default=2, ge=1, description="Processes that build tasks, beside the planner's event loop; one submitter has half of them at most."
    )
    build_limit_s: float = Field(default=1800.0, gt=0, description="Seconds that building one task may take; then its run is refused.")
    model_hang_s: float = Field(
        default=120.0,
        gt=0,
        description="Seconds that a model's files may not answer: its run is then refused by the planner, its attempt fails at an agent.",
    )
    load_hang_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds in which an engine that loads a model must take 0.05 s of a processor, or read a MiB; else the attempt fails.",
    )
    process_memory_mb: int = Field(
        default=8192,
        ge=1024,
        description="MiB that each process which builds, scores or aggregates tasks may take; more is refused to whoever wants it.",
    )
    score_processes: int = Field(default=1, description="Processes that score answers, beside the event loop.")
    score_limit_s: float = Field(
        default=60.0, gt=0, description="Seconds that scoring one sample may take; then it is a dead letter, and said to be not scored."
    )
    code_processes: int = Field(default=1, description="Programs that models wrote which run at once, each in a sandbox.")
    seal_keys: Path | None = Field(
        default=None, description="Folder of the keys that seal runs: of the sealer alone, in production; unset: the home's keys/."
    )
    seal_key: SecretStr = Field(
        default=SecretStr(""),
        description="Private key that seals runs, before those of the folder: PEM (PKCS #8, Ed25519) or a PKCS#11 URI; never logged.",
    )
    text_keys: Path | None = Field(
        default=None, description="Folder of the keys that seal private texts, a file for each organisation; unset: the home's text-keys/."
    )
    master_key: SecretStr = Field(
        default=SecretStr(""), description="Master key that wraps those keys, 64 hex digits; before the file; never logged."
    )
    master_key_file: Path | None = Field(
        default=None,
        description="File of the master key, and behind it those before; unset: the home's, where Kafka is on loopback (docs/privacy.md).",
    )
    audit_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of completed runs, drawn by their seals, that are audited unasked; 0: none."
    )
    audit_part: float = Field(default=0.1, gt=0, le=1, description="Share of its documents that such an audit asks again.")
    metrics: str = Field(
        default="", description="Where a process serves its own /metrics, /healthz and /readyz, host:port; the embedded stack chooses."
    )
    credentials: Path | None = Field(
        default=None,
        description="Folder of the keys that are shown to servers elsewhere and to hubs, a file each (docs/engines.md); unset: the home's.",
    )
    ask_loopback: bool | None = Field(
        default=None,
        description="Whether an agent asks models at its own machine's addresses; unset: where the query API (ASSAY_API) wants no keys.",
    )
    model_cache_gb: float | None = Field(
        default=None,
        gt=0,
        description="GB that models from a hub may take in the home; the least recently used go, never one in use; unset: no limit.",
    )
    allow_code: bool = Field(
        default=False,
        description="Whether a model may bring Python that runs here, or pickled weights; its request must trust it too (docs/models.md).",
    )
    allow_task_code: bool | None = Field(
        default=None,
        description="Whether a task that its request trusts may run Python and read files where it is planned and scored; unset: no, but "
        "in `assay up` where its API and log are this machine's alone and want no keys (docs/tasks.md).",
    )
    log_level: str = Field(default="info", description="Least severe level that is logged: debug, info, warning, error.")
    log_json: bool | None = Field(default=None, description="Log lines as JSON; unset: JSON unless on a terminal.")

    @field_serializer(
        "kafka_password", "registry_password", "clickhouse_password", "seal_key", "api_key", "session_secret", "oidc_client_secret",
        "reader_key", "master_key",
    )  # fmt: skip
    def _told_to_children(self, password: SecretStr) -> str:
        return password.get_secret_value()


def of_process() -> Settings:
    """The settings of a process that begins. Raises: SystemExit with what is wrong, in a line."""
    try:
        return Settings()
    except ValidationError as error:
        raise SystemExit(wrong(error)) from error
