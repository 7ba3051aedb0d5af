"""Inputs that nobody would send, into what takes others' bytes: `make fuzz` (INPUTS=1000000), and a slice of it in the tests.

Each is a valid input, mutated: bytes changed, cut, doubled and swapped, numbers made extreme, brackets nested. Whatever comes of it must
be a value, or a refusal of ours; anything else is a crash, and printed with its input. Draws are seeded.
"""

import argparse
import base64
import copy
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.harness.definition_files import Files
from infra.harness.definitions import checked
from infra.marked_yaml import composed, plainly
from infra.text_keys import kept_of
from query_api.operations.parsing import validated
from query_api.positions import position_of
from query_api.producing.submitting import Submission, requested
from query_api.reading.paging import _read as cursor_of
from query_api.wanted import BY_NAME
from schemas.catalogue import EVENTS
from schemas.codec import Undecodable
from schemas.released import released_codec
from streams.errors import AssayError

STORED = Path(__file__).parent / "stored" / "events.json"
EXTREMES = (
    b"\x00", b"\xff" * 9, b"\x80" * 12, b"-1", b"1e999", b"99999999999999999999", b"NaN", b"[" * 3000, b'{"a":' * 500, b"\xed\xa0\x80",
    b"&a [*a]", b"!!python/object:os.system", b"\r\n\r\n", b"'", b"\\u0000",
    b"{{ " + b"(" * 3000, b"{% if a %}" * 1000, b"{{ a" + b".b" * 5000 + b" }}",
)  # fmt: skip
REQUEST = {
    "model": {"uri": "org/name", "revision": "main"}, "engine": {"name": "echo", "options": {"a": "b"}}, "campaign": "c",
    "tasks": [{"name": "gsm8k", "limit": 5, "fewshot": 2, "repeats": 3}], "chat": {"template": "model", "system": "s"}, "pool": "default",
    "workload": {"profile": "constant", "rate_per_s": 2.0, "duration_s": 3.0}, "budget": {"s": 3.5, "usd_nano": 7}, "labels": {"k": "v"},
}  # fmt: skip
YAML = b"model: &m {uri: ./a, trust_code: no}\ntasks:\n  - {name: gsm8k, limit: 5}\n  - mmlu\nchat: {system: |\n  text\n}\nother: *m\n"


TASK = b"""task: capitals
dataset_path: me/capitals
test_split: test
output_type: generate_until
doc_to_text: "{% for one in words %}{{ one|trim }} {% endfor %}of {{country}} is"
doc_to_target: answer
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
metric_list:
  - metric: exact_match
metadata: {version: 1.0}
"""


SOUND: dict[str, Any] = REQUEST | {"engine": {"name": "echo"}}
# Fields that a request may have besides, and what any of its fields might be given.
MORE = (
    "suite", "limit", "limit_ratio", "deadline_us", "priority", "visibility", "judgements", "stopping", "adaptive", "vary", "slo",
    "stop_rule", "credential_ref", "model_published", "model_licences", "metrics", "run_id", "no_truncation", "nothing_like_it",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, -(2**63), 10**30, 0.0, -0.0, 1e308, 5e-324, 0.1, "", " ", "a", "x" * 10_000, "\x00", "\ud800",
    "../..", "1e999", "1" * 5000, "{{ a }}", "{% for a in b %}", [], [[]], [None], [{}], ["a"] * 200, {}, {"": None},
    {"a": {"a": {"a": []}}}, {"name": "gsm8k", "limit": -5}, [{"name": "gsm8k", "fewshot": 10**9}], {"s": -1, "usd_nano": 2**64},
    {"profile": "trace"}, {"uri": "http://[::1"}, {"uri": "\ud800"},
)  # fmt: skip
KEY = json.dumps({
    "key_id": "fb3d435851b285a9-1", "organisation": "acme", "made_us": 1, "master": "0123456789abcdef", "nonce": "00" * 12,
    "wrapped": "ab" * 48, "wrapped_sha256": "", "forgotten_us": None, "by": "", "reason": "",
}).encode()  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """What takes bytes, valid ones, and the refusals that are ours."""

    name: str
    seeds: tuple[bytes, ...]
    take: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]


def targets() -> Iterator[Target]:
    """All of them."""
    codec = released_codec()
    for name, event in EVENTS.items():
        payloads = tuple(base64.b64decode(row["payload"]) for row in json.loads(STORED.read_text()) if row["event"] == name)
        yield Target(f"codec, {name}", payloads, lambda raw, event=event: codec.decode(raw, event), (Undecodable,))  # type: ignore[misc]
    yield Target("request", (json.dumps(REQUEST).encode(),), lambda raw: validated(raw, Submission), (AssayError,))
    yield Target("request, by its fields", (json.dumps(REQUEST).encode(),), _request, (AssayError,))
    yield Target("task file", (TASK,), _task, (AssayError,))
    yield Target("YAML", (YAML, json.dumps(REQUEST).encode()), _yaml, (AssayError,))
    page = base64.urlsafe_b64encode(json.dumps(["0123456789ab", "x", 1.5, 7]).encode()).rstrip(b"=")
    yield Target("cursor of a list", (page,), lambda raw: cursor_of(raw.decode(errors="replace")), (AssayError,))
    yield Target("key of texts", (KEY,), kept_of, (ValueError, TypeError, RecursionError))
    live = b"2.1790000000000000.runs-0_7-3_12.scores-1_0"
    yield Target("cursor of the stream", (live,), lambda raw: position_of(raw.decode(errors="replace"), topics=BY_NAME), (AssayError,))


def _request(raw: bytes) -> object:
    """What comes of a request whose fields have other values: which, the bytes draw."""
    draw, told = random.Random(raw), copy.deepcopy(SOUND)
    for _ in range(draw.randint(1, 3)):
        at: Any = told
        while inner := [one for one in (at.values() if isinstance(at, dict) else at) if isinstance(one, dict | list) and one]:
            if draw.random() < 0.4:
                break
            at = draw.choice(inner)
        name = draw.choice([*(at if isinstance(at, dict) else range(len(at))), *(MORE if at is told else ())])
        at[name] = copy.deepcopy(draw.choice(VALUES))
    return requested(validated(json.dumps(told).encode(), Submission), organisation="o")


def _task(raw: bytes) -> object:
    return checked(Files("task.yaml", {"task.yaml": raw.decode(errors="replace")}), trust_code=False)


def _yaml(raw: bytes) -> object:
    root = composed(raw.decode(errors="replace"), code="not-yaml")
    return None if root is None else plainly(root, code="not-yaml")


def mutated(seed: bytes, draw: random.Random) -> bytes:
    """The input with one to six changes."""
    told = bytearray(seed)
    for _ in range(draw.randint(1, 6)):
        at, length = draw.randrange(len(told) + 1), draw.choice((1, 1, 2, 4, 16, 64))
        match draw.randrange(7):
            case 0 if told:
                told[at % len(told)] ^= 1 << draw.randrange(8)
            case 1:
                told[at : at + length] = draw.randbytes(length)
            case 2:
                del told[at : at + length]
            case 3:
                told[at:at] = told[at : at + length] * draw.choice((1, 2, 50))
            case 4:
                told[at:at] = draw.choice(EXTREMES)
            case 5:
                del told[at:]
            case _:
                other = draw.randrange(len(told) + 1)
                told[at:at] = told[other : other + length]
    return bytes(told)


def crashes(target: Target, *, inputs: int, seed: int) -> Iterator[tuple[bytes, Exception]]:
    """The inputs over which it breaks, each with what it raised."""
    draw = random.Random(f"{seed}/{target.name}")
    for _ in range(inputs):
        raw = mutated(draw.choice(target.seeds), draw)
        try:
            target.take(raw)
        except target.refuses:
            continue
        except Exception as error:  # noqa: BLE001  that is what is looked for
            yield raw, error


def main() -> None:
    """Tries all, and ends with 1 where anything broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many in all")
    parser.add_argument("--seed", type=int, default=1)
    asked, every, broken = parser.parse_args(), list(targets()), 0
    for target in every:
        inputs, began = asked.inputs // len(every), time.perf_counter()
        found = list(crashes(target, inputs=inputs, seed=asked.seed))
        took_s = time.perf_counter() - began
        print(f"{target.name:40} {inputs:9,} inputs  {len(found):5} crashes  {took_s:6.1f} s  {inputs / took_s:9,.0f} a second", flush=True)
        for raw, error in found[:3]:
            print(f"    {error!r:.300}\n    {base64.b64encode(raw).decode()[:400]}")
        broken += len(found)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
