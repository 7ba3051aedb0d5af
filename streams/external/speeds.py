"""Speed and energy as InferenceX, MLPerf and ML.ENERGY publish them.

Source: InferenceX's agg_bmk.json (utils/process_result.py), MLCommons' summary_results.json of MLPerf Inference, ML.ENERGY's benchmark
dataset v3 (its card: `runs.data` as records).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from streams.external.figures import Figure, Json, count_or_none, number_or_none, rows, text, text_or_none

# A field, the metric that it is here, its unit, the factor to that unit, and whether less is better.
Read = tuple[str, str, str, float, bool]
INFERENCE_X: Final[tuple[Read, ...]] = (
    *(
        (f"{kind}_{name}", f"{name}_{kind}", "s", 1.0, True)
        for name in ("ttft", "tpot", "itl", "e2el")
        for kind in ("median", "mean", "p99")
    ),
    ("median_intvty", "interactivity_median", "tokens/s", 1.0, False),
    ("tput_per_gpu", "tokens_per_s_per_gpu", "tokens/s", 1.0, False),
    ("output_tput_per_gpu", "output_tokens_per_s_per_gpu", "tokens/s", 1.0, False),
    ("input_tput_per_gpu", "input_tokens_per_s_per_gpu", "tokens/s", 1.0, False),
)
ML_ENERGY: Final[tuple[Read, ...]] = (
    ("energy_per_token_joules", "energy_per_output_token", "J", 1.0, True),
    ("output_throughput_tokens_per_sec", "output_tokens_per_s", "tokens/s", 1.0, False),
    ("avg_power_watts", "power_mean", "W", 1.0, True),
    ("mean_itl_ms", "itl_mean", "s", 1e-3, True),
    ("median_itl_ms", "itl_median", "s", 1e-3, True),
    ("p99_itl_ms", "itl_p99", "s", 1e-3, True),
)
PLAIN: Final = (str, int, float, bool)


def of_inference_x(told: Any) -> Iterator[Figure]:
    """Every figure of every configuration."""
    for place, row in rows(told, "$"):
        about = {
            "model": text(row, "model", place), "hardware": text(row, "hw", place), "engine": text_or_none(row, "framework", place),
            "task": _lengths(row, place),
            "conditions": _conditions(row, ("precision", "tp", "ep", "dp_attention", "conc", "isl", "osl", "image", "spec_decoding")),
        }  # fmt: skip
        yield from _figures(row, place, INFERENCE_X, about)


def _lengths(row: Json, place: str) -> str:
    """The load that a configuration was under, by its lengths."""
    return f"load {count_or_none(row, 'isl', place) or '?'}/{count_or_none(row, 'osl', place) or '?'} tokens"


def of_mlperf(told: Any) -> Iterator[Figure]:
    """Every result of a round, as it was submitted."""
    for place, row in rows(told, "$"):
        name = "Performance_Result" if "Performance_Result" in row else "Result"
        if (value := number_or_none(row, name, place)) is None:
            continue
        unit = text_or_none(row, "Performance_Units", place) or text_or_none(row, "Units", place)
        yield Figure(
            place=f"{place}.{name}", model=text_or_none(row, "MlperfModel", place) or text(row, "Model", place),
            task=f"mlperf {text(row, 'Scenario', place)}", metric="result", value=value, unit=unit,
            hardware=next(filter(None, (text_or_none(row, name, place) for name in ("Accelerator", "SystemName", "System"))), None),
            engine=text_or_none(row, "Software", place), lower_is_better=_less_is_better(unit),
            conditions=_conditions(row, ("Submitter", "Organization", "Division", "Availability", "version", "a#", "Nodes", "Accuracy")),
        )  # fmt: skip


def _less_is_better(unit: str | None) -> bool | None:
    """Of times, energy and power less is better; of rates more; of what names no unit nobody knows."""
    told = (unit or "").lower()
    if any(word in told for word in ("latency", "(ms)", "(ns)", "joule", "watt")):
        return True
    return False if "/s" in told or "per second" in told else None


def of_ml_energy(told: Any) -> Iterator[Figure]:
    """Every figure of every run that was stable."""
    for place, row in rows(told, "$"):
        if row.get("is_stable") is False:
            continue
        about = {
            "model": text(row, "model_id", place), "task": text(row, "task", place), "hardware": text(row, "gpu_model", place),
            "conditions": _conditions(row, ("num_gpus", "max_num_seqs", "weight_precision", "tensor_parallel", "expert_parallel")),
        }  # fmt: skip
        yield from _figures(row, place, ML_ENERGY, about)


def _figures(row: Json, place: str, wanted: tuple[Read, ...], about: Mapping[str, Any]) -> Iterator[Figure]:
    for name, metric, unit, factor, lower in wanted:
        if (value := number_or_none(row, name, place)) is not None:
            yield Figure(place=f"{place}.{name}", metric=metric, value=value * factor, unit=unit, lower_is_better=lower, **about)


def _conditions(row: Json, names: tuple[str, ...]) -> dict[str, str | int | float | bool]:
    return {name: value for name in names if isinstance(value := row.get(name), PLAIN) and value != ""}
