"""Asking for speed to be measured under a load."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infra.places import nameable
from infra.settings import Settings
from infra.text_files import MIB, text_of
from query_api.cli import repeated, showing
from query_api.cli.client import Client
from query_api.cli.following import followed
from query_api.cli.grids import cells_of, run_grid
from query_api.cli.options import ME, AsJson, Base, Credential, Submitter, TrustModelCode, Url, Wait
from query_api.cli.overriding import engine_said
from query_api.cli.request_files import model_at
from query_api.cli.submitting import submit_body
from query_api.cli.trace_files import packed, prompted
from streams.errors import Invalid
from streams.speed.bodies import body_of
from streams.speed.rules import LABEL, LEAST_S, SCENARIOS

DURATION_S = 10.0
DAY_S = 86_400
LIMIT = re.compile(r"(?P<name>ttft|itl|e2e)_p(?P<share>[0-9]{1,2}(\.[0-9]+)?)=(?P<limit>[0-9]+(\.[0-9]+)?)")
OPTIONS = (
    "profile", "rate", "rate_to", "burstiness", "speedup", "concurrency", "duration", "requests", "input_tokens", "output_tokens", "url",
    "api", "shared_prefix", "shared_prefixes", "cancel", "cancel_after", "turns", "think", "streams",
)  # fmt: skip
# Options whose field has another name.
FIELDS = {"rate": "rate_per_s", "rate_to": "rate_to_per_s", "duration": "duration_s", "shared_prefix": "shared_prefix_ratio",
          "cancel": "cancel_ratio", "cancel_after": "cancel_after_s", "think": "think_s"}  # fmt: skip
# What a name stands for, where no other option says otherwise.
PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "smoke": {"profile": "concurrent", "concurrency": 4, "duration": 30.0},
    "standard": {"sweep": True, "duration": 120.0, "repeat": 3},
    "mlperf-single-stream": {"profile": "single", "duration": LEAST_S},
    "mlperf-server": {"profile": "poisson", "duration": LEAST_S},
    "mlperf-offline": {"batch": str(SCENARIOS["offline"].samples)},
}
RULED: Final = "mlperf-"  # begins the names of presets that follow MLPerf's rules
MOST_REPEATS: Final = 20
PROFILES = (
    "single, constant, poisson, gamma, ramp, trace, concurrent or sweep; else --concurrency alone is concurrent, --rate alone constant, "
    "and single where nothing says which"
)


def perf(
    model: Annotated[str | None, typer.Option(help="a model's folder, or org/name@revision")] = None,
    base: Base = None,
    trust_model_code: TrustModelCode = False,
    url: Url = None,
    credential: Credential = None,
    api: Annotated[str, typer.Option(help="completions, chat or responses: what the server is asked by")] = "completions",
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="answers token by token, or whole: then without TTFT and ITL")
    ] = True,
    http: Annotated[str, typer.Option(help="1.1 or 2: many requests over one connection")] = "1.1",
    streams: Annotated[
        int | None, typer.Option(help="of HTTP/2: requests on one connection at a time; else as many as the server takes")
    ] = None,
    extra_body: Annotated[str | None, typer.Option(help="JSON that every request's body has too, or @FILE of it")] = None,
    repeat_prompts: Annotated[bool, typer.Option(help="the same seed sends the same prompts, which a cache may know")] = False,
    preset: Annotated[str | None, typer.Option(help=f"{', '.join(PRESETS)}: docs/speed.md")] = None,
    repeat: Annotated[int | None, typer.Option(help="so many runs, one after the other, and how they differ")] = None,
    profile: Annotated[str | None, typer.Option(help=PROFILES)] = None,
    rate: Annotated[
        float | None, typer.Option(help="requests per second (constant, which it is alone, poisson, gamma); where a ramp or sweep begins")
    ] = None,
    rate_to: Annotated[float | None, typer.Option(help="requests per second where a ramp ends")] = None,
    burstiness: Annotated[float | None, typer.Option(help="of gamma: 1 is Poisson, 0.25 comes in bursts, 100 is nearly even")] = None,
    trace: Annotated[Path | None, typer.Option(help="a trace to replay: Mooncake's JSON lines or BurstGPT's CSV (docs/speed.md)")] = None,
    speedup: Annotated[float | None, typer.Option(help="replay the trace so many times as fast")] = None,
    prompts: Annotated[
        str | None, typer.Option(help="prompts of a data set: a task, or JSON lines with a text each (docs/speed.md)")
    ] = None,
    prompts_limit: Annotated[int | None, typer.Option(help="the first so many documents of each task of --prompts, or lines")] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="rates one after another, to where the server is saturated")] = False,
    slo: Annotated[str | None, typer.Option(help="a service level, as ttft_p95=0.5,itl_p95=0.05 (seconds); a sweep seeks its rate")] = None,
    shared_prefix: Annotated[float | None, typer.Option(help="the share of each prompt (0..1) that others begin with too")] = None,
    shared_prefixes: Annotated[int | None, typer.Option(help="so many of those; 1 where none is given")] = None,
    cancel: Annotated[float | None, typer.Option(help="the share of requests (0..1) that the client gives up")] = None,
    cancel_after: Annotated[float | None, typer.Option(help="seconds after which it gives those up")] = None,
    turns: Annotated[int | None, typer.Option(help="of chats: so many requests each, with all that was said before")] = None,
    think: Annotated[float | None, typer.Option(help="of chats: seconds between an answer and the next turn")] = None,
    concurrency: Annotated[
        str | None, typer.Option(help="requests in flight (concurrent, which it is alone); several values, as 1,4,16, are a grid")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="so many requests, all at once; several values, as 1,8,64, are a grid")] = None,
    duration: Annotated[float | None, typer.Option(help="seconds of sending")] = None,
    requests: Annotated[int | None, typer.Option(help="requests to send")] = None,
    warmup: Annotated[int | None, typer.Option(help="requests before, in the load's shape; as many as are in flight, or 2")] = None,
    input_tokens: Annotated[str, typer.Option(help="tokens of each prompt; several values are a grid")] = "64",
    output_tokens: Annotated[str, typer.Option(help="tokens to generate; several values are a grid")] = "32",
    engine: Annotated[str, typer.Option(help="transformers or echo")] = "transformers",
    option: Annotated[list[str] | None, typer.Option(help="an engine's option, name=value")] = None,
    submitter: Submitter = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Measures speed under a load.

    Examples: `assay perf --url http://127.0.0.1:8000 --model my-model --preset standard`
    · `assay perf --model ./my-model --preset smoke --wait`
    · `assay perf --model ./my-model --concurrency 1,4,16 --input-tokens 128,1024 --duration 20`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --batch 8,64,512 --output-tokens 32,256`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --preset mlperf-server --rate 12 --slo ttft_p99=2,itl_p99=0.2`
    · `assay perf --model ./my-model --profile constant --rate 2 --duration 10 --wait`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --profile single --requests 20 --wait --json`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --profile gamma --rate 20 --burstiness 0.25 --duration 60`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --profile ramp --rate 1 --rate-to 50 --duration 120`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --trace mooncake.jsonl --speedup 2 --duration 300`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --api chat --profile poisson --rate 2 --turns 5 --think 3 --duration 60`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --api responses --extra-body '{"top_k": 5}' --duration 30`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --no-stream --concurrency 8 --duration 30`
    · `assay perf --url https://models.example --model my-model --http 2 --concurrency 64 --duration 30`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --prompts gsm8k --concurrency 16 --requests 500`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --sweep --duration 30 --wait`
    · `assay perf --url http://127.0.0.1:8000 --model my-model --slo ttft_p95=0.5,itl_p95=0.05 --duration 60 --wait`
    """
    if model is None:
        raise Invalid("which model? give --model FOLDER (or with --url the name that the server knows)", code="no-model")
    options = preset_of(preset, locals())
    cells, repeat = cells_of(options), options["repeat"] or 1
    if not 1 <= repeat <= MOST_REPEATS:
        raise Invalid(f"--repeat {repeat}: give 1 to {MOST_REPEATS}", code="option")
    named = model_at(url, model, trust_code=trust_model_code, base=base)
    body = {"model": named, "engine": engine_said(engine, option or []), "workload": workload_of(cells[0]), "submitter": submitter or ME,
            "slo": level_said(slo) if slo else None, "credential_ref": credential, "labels": labels_of(preset)}  # fmt: skip
    if len(cells) > 1:
        run_grid(body, [workload_of(cell) for cell in cells], repeat, as_json=as_json)
    elif repeat == 1:
        submit_body(body, wait=wait, as_json=as_json, shape=_speed)
    else:
        _again_and_again(body, repeat, as_json=as_json)


def preset_of(preset: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with what a preset says of those that are not given. Raises: Invalid."""
    if preset is not None and preset not in PRESETS:
        raise Invalid(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}", code="option")
    return {**options, **{name: value for name, value in PRESETS.get(preset or "", {}).items() if not options[name]}}


def labels_of(preset: str | None) -> dict[str, str]:
    """What a request says of itself, so that all who tell of its run can say it too."""
    return {LABEL: (preset or "").removeprefix(RULED)} if (preset or "").startswith(RULED) else {}


def _again_and_again(body: dict[str, Any], repeat: int, *, as_json: bool) -> None:
    """Runs of one load, each begun when the last is over: two at once would measure one another. Then what they say together."""
    client, told = Client(Settings()), list[dict[str, Any]]()
    for number in range(repeat):
        run_id = client.post("/v1/evaluations", body)["run_id"]
        if not as_json:
            showing.remark(f"run {number + 1} of {repeat}: {run_id}")
        run = followed(client, run_id, quiet=as_json)
        if run["state"] != "completed":
            why = run.get("message") or run.get("reason_code") or "no reason given"
            raise Invalid(f"run {run_id} is {run['state']}: {why}", code="run")
        if not as_json:
            showing.run(run)
        told.append(_speed(run))
    together = client.get(f"/v1/runs/{told[-1]['run_id']}/repeated")
    if as_json:
        showing.document({"runs": told, "repeated": together})
    else:
        repeated.shown(together)


def workload_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The workload that the options of `assay perf` ask for, by their names. Raises: Invalid."""
    told = {FIELDS.get(name, name): options[name] for name in OPTIONS if options[name] is not None}
    told["fresh_prompts"] = not options["repeat_prompts"]
    told |= _warmed(options) | prompts_said(options["prompts"], limit=options["prompts_limit"])
    told |= {} if options["stream"] else {"stream": False}
    told |= {} if options["http"] in (None, "1", "1.1") else {"http": options["http"]}
    told |= {"extra_body": extra_said(options["extra_body"])} if options["extra_body"] else {}
    if (profile := profile_of(options)) is not None:
        told["profile"] = profile
    if options["trace"]:
        limits = {name: options[name] for name in ("speedup", "requests")}
        told |= {"trace": packed(options["trace"], duration_s=options["duration"], **limits)}
    elif options["duration"] is None and options["requests"] is None:
        told["duration_s"] = DURATION_S
    return told


def _warmed(options: Mapping[str, Any]) -> dict[str, Any]:
    """How many requests come before: as many as are told, else as are in flight at a time; a batch is no load to warm up under."""
    if (told := options["warmup"]) is None and options["concurrency"] and options["batch"] is None:
        told = max(2, options["concurrency"])
    return {} if told is None else {"warmup_requests": told}


def prompts_said(said: str | None, *, limit: int | None) -> dict[str, Any]:
    """What `--prompts` says: a file's prompts, or the task whose documents they are. Raises: Invalid."""
    if said is None:
        if limit is not None:
            raise Invalid(f"--prompts-limit {limit} is of a data set's prompts: give --prompts, or leave it out", code="option")
        return {}
    if said.endswith(".jsonl") or (nameable(said) and Path(said).is_file()):
        return {"prompts": prompted(Path(said), limit=limit)}
    return {"prompts_task": said} | ({} if limit is None else {"prompts_limit": limit})


def extra_said(said: str) -> str:
    """What `--extra-body` says, or the file that it names, as a workload has it. Raises: Invalid."""
    told = text_of(Path(said[1:]), most_bytes=MIB) if said.startswith("@") else said
    return json.dumps(body_of(told), sort_keys=True, separators=(",", ":"))


def profile_of(options: Mapping[str, Any]) -> str | None:
    """The profile that the options ask for: --profile's, else that of which they alone speak; None for single. Raises: Invalid."""
    profile: str | None = options["profile"]
    if options["sweep"] and profile not in (None, "sweep"):
        raise Invalid(f"--sweep and --profile {profile} are two loads: leave one out", code="option")
    if options["sweep"] or profile:
        return profile or "sweep"
    if options["concurrency"] is not None and options["rate"] is not None:
        raise Invalid("--concurrency keeps so many requests in flight, --rate sends so many a second: leave one out", code="option")
    if options["trace"]:
        return "trace"
    if options["concurrency"] is not None:
        return "concurrent"
    if options["slo"]:
        return "sweep"
    return "constant" if options["rate"] is not None else None


def level_said(said: str) -> dict[str, Any]:
    """A service level as written on the command line: limits of one percentile, in seconds. Raises: Invalid."""
    told, shares = dict[str, Any](), set[str]()
    for part in said.split(","):
        found = LIMIT.fullmatch(part.strip())
        if found is None or not 0 < float(found["limit"]) < DAY_S:
            raise Invalid(f"--slo {part!r}: write ttft, itl or e2e with a percentile and seconds, as ttft_p95=0.5", code="option")
        told[f"{found['name']}_ns"] = round(float(found["limit"]) * 1e9)
        shares.add(found["share"])
    if len(shares) > 1:
        several = ", ".join(f"p{share}" for share in sorted(shares))
        raise Invalid(f"--slo {said!r}: give all limits of one percentile, not of {several}", code="option")
    return told | {"ratio": float(shares.pop()) / 100}


def _speed(told: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": told["run_id"], "state": told["state"], "message": told.get("message"), **(told["performance"] or {})}
