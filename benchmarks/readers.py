"""Sentences that say what somebody looks for, read by rules and by a model: how many of their fields each reader finds right.

    python -m benchmarks.readers [--url URL --model NAME]

The sentences are written as people write, not as the rules are; a few words of several no rule knows. A field is right where it is
written as it should be (spaces and letters' size aside), missing where it is not there, and otherwise where it has another value; beside
them stand fields that nobody said. Suggested tasks count for nothing. Without a URL the rules alone are measured. Writes
results/readers.json.
"""

import argparse
import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.harness import show, write
from infra.settings import Settings
from query_api.reading.readers import Reader
from streams.deciding.readers import compared
from streams.deciding.sentences import read
from streams.errors import Invalid

TASKS = ("gsm8k", "mmlu", "humaneval", "ifeval", "arc_easy")
SUITES = ("reasoning", "coding")
Told = Mapping[str, Any]
SENTENCES: tuple[tuple[str, Told], ...] = (
    ("A chatbot for a bank, 20 requests a second, two L40S, German.",
     {"traffic": {"rate": "20/s"}, "allowed": {"owned": {"L40S": 2}, "languages": ["de"]}}),
    ("We answer 1,200 questions a minute on H100s and pay at most $3,000 a month.",
     {"traffic": {"rate": "1200/min"}, "allowed": {"hardware": ["H100"]}, "budget": {"per_month": "3000 USD"}}),
    ("First token within 800 ms, whole answers in under 20 seconds.", {"latency": {"ttft_p95": "800 ms", "e2e_p95": "20 s"}}),
    ("Something that runs on a laptop without internet, permissive licence.",
     {"allowed": {"places": ["cpu", "air-gapped"], "licences": ["apache-2.0", "mit"]}}),
    ("Prompts have around 2000 tokens and replies 300 tokens; half a million dollars of capital.",
     {"traffic": {"input": "2000 tokens", "output": "300 tokens"}, "budget": {"capital": "500000 USD"}}),
    ("At least 60 % on gsm8k, hosted in the EU, 32k context.",
     {"tasks": {"gsm8k": 1}, "floors": {"gsm8k": "60 %"}, "allowed": {"regions": ["eu"], "context": "32 k"}}),
    ("Best model for mmlu that we can run on one GPU with 24 GB of memory.",
     {"tasks": {"mmlu": 1}, "allowed": {"places": ["one-gpu"], "memory": "24 GB"}}),
    ("5 rps, 800 tokens in, 200 tokens out, no more than 40 ms between tokens.",
     {"traffic": {"rate": "5/s", "input": "800 tokens", "output": "200 tokens"}, "latency": {"itl_p95": "40 ms"}}),
    ("We have four A100s and want to be 90 % sure.", {"allowed": {"owned": {"A100": 4}}, "threshold": "90 %"}),
    ("Cheaper than half a dollar per million tokens, on vLLM.", {"budget": {"per_1m_tokens": "0.5 USD"}, "allowed": {"engines": ["vllm"]}}),
    ("A fine-tuned model that speaks French and Italian.", {"allowed": {"kinds": ["fine-tuned"], "languages": ["fr", "it"]}}),
    ("Ten messages an hour; a token may cost 2 joules.", {"traffic": {"rate": "10/h"}, "energy": {"per_token": "2 J"}}),
    ("Users must see the first word after at most a second.", {"latency": {"ttft_p95": "1 s"}}),
    ("Our budget is 5k euros per month and the data may not leave the US.",
     {"budget": {"per_month": "5000 EUR"}, "allowed": {"regions": ["us"]}}),
    ("Air-gapped, on a cluster of MI300X, Apache licensed.",
     {"allowed": {"places": ["air-gapped", "several-gpus"], "hardware": ["MI300X"], "licences": ["apache-2.0"]}}),
    ("Good at the coding suite, at least 55 %.", {"tasks": {"coding": 1}, "floors": {"coding": "55 %"}}),
    ("humaneval counts twice as much as mmlu.", {"tasks": {"humaneval": 2, "mmlu": 1}}),
    ("We see fifty requests per second at peak; answers are 150 tokens long.", {"traffic": {"rate": "50/s", "output": "150 tokens"}}),
    ("Not in the US, and never on H100.", {}),
    ("Spanish and Portuguese, p95 of the whole answer 3 s, MIT.",
     {"allowed": {"languages": ["es", "pt"], "licences": ["mit"]}, "latency": {"e2e_p95": "3 s"}}),
    ("One RTX 4090 that I own, GGUF.", {"allowed": {"owned": {"RTX 4090": 1}, "engines": ["gguf"]}}),
    ("A thousand requests a day of 500 tokens each.", {"traffic": {"rate": "41.67/h", "input": "500 tokens"}}),
    ("Between L4 and L40S, whichever is cheaper, at 8k context.", {"allowed": {"hardware": ["L4", "L40S"], "context": "8 k"}}),
    ("Sub-100 ms TTFT and 16 GB of VRAM for a base model.",
     {"latency": {"ttft_p95": "100 ms"}, "allowed": {"memory": "16 GB", "kinds": ["base"]}}),
)  # fmt: skip


def by_rules(sentence: str) -> Told:
    """What rules understand, suggestions left out."""
    try:
        found = read(sentence, tasks=TASKS, suites=SUITES)
    except Invalid:
        return {}
    suggested = {one.field.partition(".")[2] for one in found.understood if one.suggested}
    tasks = {name: weight for name, weight in found.requirement.get("tasks", {}).items() if name not in suggested}
    return {name: part for name, part in found.requirement.items() if name != "tasks"} | ({"tasks": tasks} if tasks else {})


def by_model(reader: Reader) -> Callable[[str], Told]:
    """What a model understands."""
    return lambda sentence: asyncio.run(reader.read(sentence, tasks=[*TASKS, *SUITES])).requirement


def measured(name: str, reads: Callable[[str], Told]) -> dict[str, Any]:
    """How many fields a reader finds right."""
    fields = [one for sentence, truth in SENTENCES for one in compared(truth, reads(sentence))]
    said = [one for one in fields if one.rules is not None]
    right, missing = sum(one.same for one in said), sum(one.model is None for one in said)
    return {
        "reader": name, "sentences": len(SENTENCES), "fields": len(said), "right": right, "missing": missing,
        "otherwise": len(said) - right - missing, "not_said": len(fields) - len(said),
    }  # fmt: skip


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="")
    parser.add_argument("--model", default="")
    given = parser.parse_args()
    told = [measured("rules", by_rules)]
    if given.url:
        told.append(measured(given.model, by_model(Reader(Settings(reader_url=given.url, reader_model=given.model)))))
    write("readers", {"measured": told})
    show(f"{len(SENTENCES)} sentences", told)


if __name__ == "__main__":
    main()
