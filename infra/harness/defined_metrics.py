"""How a task of a client's own is scored, checked before anything runs: its metrics and what these are aggregated by.

lm-eval finds most of this when a sample is scored or the last one is there; by then a model has run for nothing.
Source: lm-eval 0.4.13, api/task.py, ConfigurableTask.process_results; api/metrics.py.
"""

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from infra.harness.definition_files import CODE, FUNCTION
from infra.marked_yaml import PLAIN, items, meant, pairs, place, value_of, word, wrong
from streams.errors import Invalid

# output_type → its metrics, each with what it gives of a document.
GIVES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({
    "multiple_choice": {
        **dict.fromkeys(("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match"), "numbers"),
        **dict.fromkeys(("f1", "mcc"), "labels"), "brier_score": "probabilities",
        "likelihood": "a log-likelihood of every choice",
    },
    "loglikelihood": {"acc": "numbers", "perplexity": "log-likelihoods"},
    "loglikelihood_rolling": dict.fromkeys(("word_perplexity", "byte_perplexity", "bits_per_byte"), "weighed log-likelihoods"),
    "generate_until": {"exact_match": "numbers", "bypass": "nothing", **dict.fromkeys(("bleu", "chrf", "chrf++", "ter"), "texts")},
})  # fmt: skip
# What an aggregation takes.
TAKES: Final[Mapping[str, frozenset[str]]] = MappingProxyType({
    **dict.fromkeys(("mean", "median", "nanmean"), frozenset({"numbers", "log-likelihoods"})),
    "perplexity": frozenset({"log-likelihoods"}),
    **dict.fromkeys(("weighted_perplexity", "bits_per_byte"), frozenset({"weighed log-likelihoods"})),
    **dict.fromkeys(("f1", "matthews_corrcoef"), frozenset({"labels"})),
    **dict.fromkeys(("bleu", "chrf", "chrf++", "ter"), frozenset({"texts"})),
    "brier_score": frozenset({"probabilities"}), "bypass": frozenset({"nothing"}),
})  # fmt: skip
OWN: Final = frozenset({"metric", "aggregation", "higher_is_better", "hf_evaluate"})
HANDED: Final = frozenset({"predictions", "references", "items", "arr", "self"})  # what lm-eval hands a function, and no file says
ALIKE: Final = 0.75
# The lists whose parts have names: by which field, and how one is written.
LISTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "metric_list": ("metric", "- metric: acc"),
    "filter_list": ("name", "- {name: first, filter: [{function: take_first}]}"),
})  # fmt: skip


def metric_of(node: Any) -> str:
    """A metric's name; that of a function is the function's own."""
    return str(node.value).rpartition(".")[2] if node.tag == FUNCTION else str(value_of(node))


def check_named(node: Any, *, field: str) -> None:
    """Raises: Invalid where a metric_list or filter_list has nothing in it, or two of one name: lm-eval keeps one figure to a name."""
    name, example = LISTS[field]
    if pairs(node):
        raise wrong(node, f"{field} is a list, and this is one part of it without its dash: write {example}", code=CODE)
    if not items(node):
        raise wrong(node, f"{field} must list at least one, as {example}; or leave it out", code=CODE)
    first: dict[str, Any] = {}
    for one in items(node):
        if name not in (told := pairs(one)):
            continue  # told by who looks into each
        key = told[name][1]
        own = metric_of(key) if name == "metric" else word(key, code=CODE)
        if own in first:
            hint = "keep one" if name == "metric" else "give each a name of its own"
            told_at = place(first[own].start_mark).removesuffix(": ")
            raise wrong(key, f"{field} has {own!r} twice, here and in {told_at}; only the last would count: {hint}", code=CODE)
        first[own] = key


def check_metrics(node: Any, *, kind: str) -> None:
    """Raises: Invalid for a metric that there is not, that the kind (an output_type) does not give, or that is not aggregated so."""
    if not all(pairs(one) for one in items(node)):
        raise wrong(node, "metric_list must list at least one metric, as - metric: acc", code=CODE)
    for one in items(node):
        _check_metric(one, kind=kind)


def registry_of() -> Any:
    """lm-eval's registry with all that lm-eval itself registers: what is known must not depend on what a process has loaded before."""
    import lm_eval.api.metrics
    import lm_eval.filters  # noqa: F401
    from lm_eval.api import registry

    return registry


def check_aggregations(node: Any) -> None:
    """Raises: Invalid for a metric of a function of the client's own that lm-eval has no aggregation for."""
    registry = registry_of()
    for one in items(node):
        told = pairs(one)
        if "metric" not in told:
            raise wrong(one, "each of metric_list names its metric, as - metric: acc", code=CODE)
        _check_spelling(told)
        metric, given = told["metric"][1], told["aggregation"][1] if "aggregation" in told else None
        if given is None and metric.tag in PLAIN and metric.value not in registry.METRIC_REGISTRY:
            raise wrong(metric, f"metric {metric.value} needs its aggregation, as aggregation: mean", code=CODE)
        if given is not None and given.tag in PLAIN and word(given, code=CODE) not in registry.AGGREGATION_REGISTRY:
            raise wrong(
                given, f"there is no aggregation {given.value!r}; {meant(given.value, registry.AGGREGATION_REGISTRY.keys())}", code=CODE
            )


def check_examples(node: Any) -> None:
    """Raises: Invalid for a setting of few-shot examples, or a way to draw them, that there is not."""
    from dataclasses import fields

    from lm_eval.api.samplers import SAMPLER_REGISTRY
    from lm_eval.config.task import FewshotConfig

    known = [field.name for field in fields(FewshotConfig)]
    told = pairs(node)
    if not told and value_of(node) is not None:
        raise wrong(node, "fewshot_config must be a mapping, as fewshot_config: {sampler: first_n}", code=CODE)
    for name, (key, _) in told.items():
        if name not in known:
            raise wrong(key, f"fewshot_config has no {name!r}; {meant(name, known)}", code=CODE)
    sampler = told["sampler"][1] if "sampler" in told else None
    if sampler is not None and sampler.tag in PLAIN and word(sampler, code=CODE) not in SAMPLER_REGISTRY:
        raise wrong(sampler, f"there is no sampler {sampler.value!r}; {meant(sampler.value, SAMPLER_REGISTRY)}", code=CODE)


def _check_metric(one: Any, *, kind: str) -> None:
    registry = registry_of()
    told = pairs(one)
    if "metric" not in told:
        raise wrong(one, "each of metric_list names its metric, as - metric: acc", code=CODE)
    metric = told["metric"][1]
    _check_spelling(told)
    if metric.tag not in PLAIN:
        return
    word(metric, code=CODE)
    if metric.value not in registry.METRIC_REGISTRY:
        raise wrong(metric, f"there is no metric {metric.value!r}; {meant(metric.value, registry.METRIC_REGISTRY.keys())}", code=CODE)
    if not _is_of_the_hub(told):
        check_keys(told, OWN | set(_idle()) | _arguments(metric.value, kind=kind), what=f"metric {metric.value}")
    given = told["aggregation"][1] if "aggregation" in told else None
    if given is not None and given.tag not in PLAIN:  # a function of the definition's own takes what its author knows
        return
    known = GIVES.get(kind, {})
    if kind == "generate_until" and metric.value in known and _is_of_the_hub(told):
        has = "leave hf_evaluate out, and lm-eval's own measures"
        raise wrong(told["hf_evaluate"][0], f"metric {metric.value} would come from the hub, and is not had here; {has}", code=CODE)
    if metric.value not in known:
        raise wrong(metric, f"metric {metric.value} is not had of {kind}; {meant(metric.value, known)}", code=CODE)
    _check_aggregation(given or metric, _usual(metric.value) if given is None else word(given, code=CODE), metric, known[metric.value])


def check_keys(told: Mapping[str, tuple[Any, Any]], known: Iterable[str], *, what: str) -> None:
    """Raises: Invalid for a key that there is not: lm-eval passes it over without a word."""
    for name, (key, _) in told.items():
        if name not in known:
            raise wrong(key, f"{what} has no {name!r}; {meant(name, known)}", code=CODE)


def _check_spelling(told: Mapping[str, tuple[Any, Any]]) -> None:
    """Raises: Invalid for a key that is nearly one of a metric's own, whatever function it may be meant for."""
    for name, (key, _) in told.items():
        if name not in OWN and (close := difflib.get_close_matches(name, sorted(OWN), n=1, cutoff=ALIKE)):
            raise wrong(key, f"a metric has no {name!r}; did you mean {close[0]}?", code=CODE)


def _is_of_the_hub(told: Mapping[str, tuple[Any, Any]]) -> bool:
    """Its function, and what that takes, comes from elsewhere as it is scored."""
    return "hf_evaluate" in told and value_of(told["hf_evaluate"][1]) is True


def _arguments(metric: str, *, kind: str) -> set[str]:
    """What a metric's function takes beside what it is handed; only of what is generated does lm-eval call it."""
    if kind != "generate_until":
        return set()
    function = _exact_match() if metric == "exact_match" else registry_of().get_metric(metric)
    return set(inspect.signature(function).parameters) - HANDED


def _idle() -> tuple[str, ...]:
    """What files say of metrics that do not take it, and lm-eval then passes over: arguments of exact_match, of the hub's F1, a group's."""
    return (*(name for name in inspect.signature(_exact_match()).parameters if name not in HANDED), "average", "weight_by_size")


def idle_keys(node: Any, *, kind: str) -> Iterator[tuple[Any, str]]:
    """The keys of a metric_list that count for nothing, each with its metric."""
    for one in items(node):
        told = pairs(one)
        metric = told["metric"][1] if "metric" in told else None
        if metric is None or str(metric.value) not in GIVES.get(kind, {}) or _is_of_the_hub(told):
            continue
        taken = _arguments(metric.value, kind=kind)
        yield from ((key, metric.value) for name, (key, _) in told.items() if name in _idle() and name not in taken)


def _usual(metric: str) -> str:
    """What lm-eval aggregates a metric by where nothing is said."""
    registry = registry_of()
    own = registry.get_metric_aggregation(metric)
    return next((name for name, function in registry.AGGREGATION_REGISTRY.items() if function is own), "mean")


def _check_aggregation(node: Any, name: str, metric: Any, gives: str) -> None:
    registry = registry_of()
    if name not in registry.AGGREGATION_REGISTRY:
        raise wrong(node, f"there is no aggregation {name!r}; {meant(name, registry.AGGREGATION_REGISTRY.keys())}", code=CODE)
    if gives not in TAKES.get(name, frozenset({gives})):
        able = ", ".join(one for one, takes in TAKES.items() if gives in takes) or "a function of your own, where the request trusts it"
        raise wrong(node, f"aggregation {name} does not take what metric {metric.value} gives ({gives}); give {able}", code=CODE)


def _exact_match() -> Any:
    from lm_eval.api.metrics import exact_match_hf_evaluate

    return exact_match_hf_evaluate


def generation_remark(node: Any) -> str | None:
    """What is to be said of generation arguments that are taken, with their line."""
    from streams.quality import generation

    said = generation.remark(generation_of(node))
    return said and f"{place(pairs(node)['until'][0].start_mark)}{said}"


def generation_of(node: Any) -> dict[str, Any]:
    """The generation arguments that a definition says. Raises: Invalid for those that no engine takes."""
    check_generation(node)
    return {name: value_of(value) for name, (_, value) in pairs(node).items() if value.tag in PLAIN}


def check_generation(node: Any) -> None:
    """Raises: Invalid for generation arguments that are no mapping, that no engine knows, or with values that none takes."""
    from streams.quality import generation

    if not pairs(node) and value_of(node) is not None:
        raise wrong(node, "generation_kwargs must be a mapping, as generation_kwargs: {max_gen_toks: 64}", code=CODE)
    told = {name: (key, value_of(value)) for name, (key, value) in pairs(node).items() if value.tag in PLAIN}
    for name, (key, value) in told.items():
        try:
            generation.check({name: value})
        except Invalid as error:
            raise wrong(key, str(error), code=CODE) from error
    try:
        generation.check({name: value for name, (_, value) in told.items()})
    except Invalid as error:
        raise wrong(node, str(error), code=CODE) from error
