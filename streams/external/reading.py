"""Which form a file has, and its figures; all of them, or the reason why not."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from streams.errors import Invalid
from streams.external.figures import CODE, Figure, is_turned, wrong
from streams.external.harnesses import of_every_eval_ever, of_helm, of_inspect, of_lm_eval
from streams.external.speeds import of_inference_x, of_ml_energy, of_mlperf

MOST: Final = 50_000
# How each form is told from the others, and what reads it.
FORMS: Final[Mapping[str, tuple[Callable[[Any], bool], Callable[[Any], Iterator[Figure]]]]] = MappingProxyType({
    "lm-eval": (lambda told: _has(told, "results", "config"), of_lm_eval),
    "inspect": (lambda told: _has(told, "eval", "results"), of_inspect),
    "helm": (lambda told: _has(told, "run_spec", "stats"), of_helm),
    "every-eval-ever": (lambda told: _has(told, "evaluation_results"), of_every_eval_ever),
    "inferencex": (lambda told: _rows_have(told, "hw", "framework"), of_inference_x),
    "mlperf": (lambda told: _rows_have(told, "Scenario"), of_mlperf),
    "ml-energy": (lambda told: _rows_have(told, "model_id", "gpu_model"), of_ml_energy),
})  # fmt: skip


def _has(told: Any, *names: str) -> bool:
    return isinstance(told, Mapping) and all(name in told for name in names)


def _rows_have(told: Any, *names: str) -> bool:
    return isinstance(told, list) and bool(told) and _has(told[0], *names)


def form_of(told: Any) -> str:
    """The form of a document. Raises: Invalid where it has none that is known."""
    found = next((name for name, (is_one, _) in FORMS.items() if is_one(told)), None)
    if found is None:
        raise Invalid(f"this is no file of a form that is known: {', '.join(FORMS)}; say which with --form to see what is wrong", code=CODE)
    return found


def figures_of(told: Any, form: str) -> list[Figure]:
    """The figures of a document of that form. Raises: Invalid, naming the place, where it is not as its form says, or has no figure."""
    if form not in FORMS:
        raise Invalid(f"no form {form}; the forms are {', '.join(FORMS)}", code=CODE)
    found = list(FORMS[form][1](told))
    if not found:
        raise Invalid(f"there is no figure in this {form} file", code=CODE)
    if turned := next((one for one in found if is_turned(one.low, one.high)), None):
        raise wrong(turned.place, f"an interval from {turned.low:g} to {turned.high:g} is none; the lower end comes first")
    if len(found) > MOST:
        raise Invalid(f"{len(found):,} figures in one file: at most {MOST:,} are taken; cut it into parts", code=CODE)
    return found
