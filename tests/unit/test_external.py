"""Others' results: what is read from each form, and what is said where a file is not as its form says. The files are the project's own."""

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from query_api.cli.external_files import document_of
from query_api.routes.external import EXAMPLE, ExternalTold
from streams.errors import Invalid
from streams.external.figures import Figure
from streams.external.reading import FORMS, figures_of, form_of

LM_EVAL: dict[str, Any] = {
    "results": {
        "arc_easy": {"alias": "arc_easy", "acc,none": 0.61, "acc_stderr,none": 0.01, "acc_norm,none": 0.55, "acc_norm_stderr,none": "N/A"},
        "gsm8k": {"exact_match,strict-match": 0.05, "exact_match_stderr,strict-match": 0.006, "exact_match,flexible-extract": 0.07},
    },
    "groups": {"mmlu": {"acc,none": 0.25, "acc_stderr,none": 0.004, "alias": "mmlu"}},
    "config": {"model": "hf", "model_args": "pretrained=org/tiny,dtype=float32", "limit": 200.0},
    "n-shot": {"arc_easy": 0, "gsm8k": 5}, "n-samples": {"arc_easy": {"original": 2376, "effective": 200}},
    "higher_is_better": {"arc_easy": {"acc": True, "acc_norm": True}}, "date": 1790000000.5, "lm_eval_version": "0.4.13",
}  # fmt: skip
INSPECT: dict[str, Any] = {
    "version": 2, "status": "success",
    "eval": {"task": "gpqa", "model": "vllm/org/tiny", "created": "2026-11-01T10:00:00+01:00", "packages": {"inspect_ai": "0.3.150"},
             "model_generate_config": {"temperature": 0.0, "max_tokens": 512}},
    "results": {"completed_samples": 198, "scores": [{"name": "choice", "scorer": "choice", "metrics": {
        "accuracy": {"name": "accuracy", "value": 0.4}, "stderr": {"name": "stderr", "value": 0.03}}}]},
}  # fmt: skip
HELM: dict[str, Any] = {
    "run_spec": {"name": "boolq:data=x,model=org_tiny", "adapter_spec": {"model": "org/tiny", "max_train_instances": 5}},
    "stats": [
        {"name": {"name": "exact_match", "split": "test"}, "count": 1, "mean": 0.7},
        {"name": {"name": "exact_match", "split": "test", "perturbation": {"name": "robustness"}}, "count": 1, "mean": 0.6},
        {"name": {"name": "num_references"}, "count": 0},
    ],
}  # fmt: skip
EVER: dict[str, Any] = {
    "schema_version": "0.3.0", "evaluation_id": "x", "retrieved_timestamp": "1790000000", "eval_library": {"name": "helm", "version": "1"},
    "source_metadata": {"source_organization_name": "a lab", "evaluator_relationship": "third_party"},
    "model_info": {"name": "Tiny", "id": "org/tiny", "inference_engine": {"name": "vllm"}},
    "evaluation_results": [{
        "evaluation_name": "mmlu", "metric_config": {"lower_is_better": False},
        "score_details": {"score": 0.5, "uncertainty": {
            "standard_error": {"value": 0.02}, "confidence_interval": {"lower": 0.46, "upper": 0.54}, "num_samples": 625}},
    }],
}  # fmt: skip
INFERENCE_X: list[dict[str, Any]] = [
    {"hw": "h200", "model": "org/big", "framework": "vllm", "precision": "fp8", "tp": 8, "conc": 64, "isl": 1024, "osl": 8192,
     "median_ttft": 0.31, "median_tpot": 0.02, "tput_per_gpu": 812.5},
]  # fmt: skip
MLPERF: list[dict[str, Any]] = [
    {"MlperfModel": "llama2-70b-99", "Scenario": "Server", "Result": "23,115.5", "Units": "Tokens/s", "Accelerator": "H200", "a#": 8,
     "Submitter": "a lab", "Software": "TensorRT-LLM", "version": "v5.1", "Division": "Closed"},
    {"MlperfModel": "llama2-70b-99", "Scenario": "Interactive", "Result": "N/A", "Units": "Tokens/s"},
]  # fmt: skip
ML_ENERGY: list[dict[str, Any]] = [
    {"task": "gpqa", "model_id": "org/tiny", "gpu_model": "H100", "num_gpus": 1, "max_num_seqs": 32, "energy_per_token_joules": 0.12,
     "mean_itl_ms": 21.0, "is_stable": True},
    {"task": "gpqa", "model_id": "org/tiny", "gpu_model": "H100", "energy_per_token_joules": 9.0, "is_stable": False},
]  # fmt: skip
FILES: dict[str, Any] = {
    "lm-eval": LM_EVAL, "inspect": INSPECT, "helm": HELM, "every-eval-ever": EVER, "inferencex": INFERENCE_X, "mlperf": MLPERF,
    "ml-energy": ML_ENERGY,
}  # fmt: skip


def told(form: str) -> dict[str, Figure]:
    """The figures of the form's file, by place."""
    return {one.place: one for one in figures_of(FILES[form], form)}


def test_every_form_is_known_by_its_file() -> None:
    """And no file is taken for another form's."""
    assert {form: form_of(told) for form, told in FILES.items()} == {form: form for form in FORMS}


def test_lm_evals_tasks_and_groups_are_read_with_their_errors() -> None:
    """A standard error that is N/A is not known; what the arguments name is the model."""
    found = told("lm-eval")
    assert {(one.task, one.metric, one.filter, one.value, one.stderr, one.num_fewshot, one.n) for one in found.values()} == {
        ("arc_easy", "acc", "none", 0.61, 0.01, 0, 200), ("arc_easy", "acc_norm", "none", 0.55, None, 0, 200),
        ("gsm8k", "exact_match", "strict-match", 0.05, 0.006, 5, None), ("gsm8k", "exact_match", "flexible-extract", 0.07, None, 5, None),
        ("mmlu", "acc", "none", 0.25, 0.004, None, None),
    }  # fmt: skip
    one = found["$.results.arc_easy.acc,none"]
    assert (one.model, one.lower_is_better, one.harness_version, one.measured_us) == ("org/tiny", False, "0.4.13", 1790000000500000)
    assert one.conditions == {"limit": 200.0}


def test_a_group_that_stands_in_both_places_is_read_once_and_what_is_infinite_is_left_out() -> None:
    """As lm-eval writes groups; a perplexity beyond all measure refuses not the whole file."""
    both = LM_EVAL | {"results": LM_EVAL["results"] | LM_EVAL["groups"] | {"wikitext": {"word_perplexity,none": float("inf")}}}
    assert [(one.task, one.value) for one in figures_of(both, "lm-eval")] == [
        (one.task, one.value) for one in figures_of(LM_EVAL, "lm-eval")
    ]


def test_inspects_scores_are_read() -> None:
    """With the time as it is in UTC."""
    (one,) = told("inspect").values()
    assert (one.model, one.task, one.metric, one.filter, one.value, one.stderr, one.n) == (
        "vllm/org/tiny", "gpqa", "accuracy", "choice", 0.4, 0.03, 198
    )  # fmt: skip
    assert one.measured_us == 1793523600000000 and one.conditions == {"temperature": 0.0, "max_tokens": 512}


def test_helms_statistics_without_perturbation_are_read() -> None:
    """Of a split."""
    (one,) = told("helm").values()
    assert (one.task, one.model, one.metric, one.filter, one.value, one.num_fewshot) == (
        "boolq:data=x", "org/tiny", "exact_match", "test", 0.7, 5
    )  # fmt: skip


def test_every_eval_evers_scores_are_read_with_their_intervals() -> None:
    """The record's time stands for that of its evaluations."""
    (one,) = told("every-eval-ever").values()
    assert (one.task, one.value, one.stderr, one.low, one.high, one.n, one.engine) == ("mmlu", 0.5, 0.02, 0.46, 0.54, 625, "vllm")
    assert one.measured_us == 1790000000000000 and one.conditions["evaluator_relationship"] == "third_party"


def test_speeds_are_read_in_their_units() -> None:
    """Seconds, tokens/s, joules."""
    speeds = {one.metric: (one.value, one.unit) for one in told("inferencex").values()}
    assert speeds == {"ttft_median": (0.31, "s"), "tpot_median": (0.02, "s"), "tokens_per_s_per_gpu": (812.5, "tokens/s")}
    (result,) = told("mlperf").values()
    assert (result.model, result.task, result.value, result.unit, result.hardware) == (
        "llama2-70b-99", "mlperf Server", 23115.5, "Tokens/s", "H200"
    )  # fmt: skip
    energy = {one.metric: (one.value, one.unit) for one in told("ml-energy").values()}
    assert energy == {"energy_per_output_token": (0.12, "J"), "itl_mean": (pytest.approx(0.021), "s")}


@pytest.mark.parametrize(
    ("form", "change", "says"),
    [
        ("lm-eval", {"results": {"arc_easy": {"acc,none": "good"}}}, r"\$.results.arc_easy.acc,none: a number is wanted, not 'good'"),
        ("lm-eval", {"results": ["arc_easy"]}, r"\$.results: an object is wanted, not a list"),
        ("lm-eval", {"results": {}, "groups": {}}, "there is no figure in this lm-eval file"),
        ("lm-eval", {"date": "yesterday"}, r"\$.date: a time is wanted, not 'yesterday'; write 2026-11-29"),
        ("lm-eval", {"n-samples": {"arc_easy": {"effective": float("inf")}}}, "effective: the number is beyond all measure"),
        ("lm-eval", {"results": {"arc_easy": {"acc,none": "0,71"}}}, "a number is wanted, not '0,71'"),
        ("lm-eval", {"results": {"arc_easy": {"acc,none": 0.5, "acc_stderr,none": -0.1}}}, "a standard error cannot be below 0"),
        ("lm-eval", {"date": "20251101"}, "a time is wanted, not '20251101'"),
        ("lm-eval", {"date": 10**400}, "a time is wanted"),
        ("lm-eval", {"n-shot": {"arc_easy": 2.5}}, r"\$.n-shot.arc_easy: a count is wanted, not 2.5"),
        ("inspect", {"status": "error"}, r"\$.status: the evaluation has not ended well: error"),
        ("inspect", {"results": {"scores": {}}}, r"\$.results.scores: a list is wanted, not an object"),
        ("helm", {"stats": [{"name": {"name": "em", "split": "test"}, "mean": True}]}, "stats.json.0..mean: a number is wanted, not true"),
        (
            "every-eval-ever",
            {"evaluation_results": [{"evaluation_name": "x"}]},
            r"evaluation_results.0..score_details: an object is wanted",
        ),
    ],
)
def test_what_is_not_as_its_form_says_is_refused_with_its_place(form: str, change: dict[str, Any], says: str) -> None:
    """Nothing of it is read."""
    with pytest.raises(Invalid, match=says):
        figures_of(FILES[form] | change, form)


@pytest.mark.parametrize("form", sorted(FILES))
@pytest.mark.parametrize("document", [None, 5, "x", True, {"a": 1}, [], [1]])
def test_what_is_no_file_of_a_form_is_refused(form: str, document: Any) -> None:
    """Whatever stands where the file's object or list should."""
    with pytest.raises(Invalid):
        figures_of(document, form)


@pytest.mark.parametrize(
    ("form", "change", "says"),
    [
        (
            "every-eval-ever",
            {"schema_version": "9.9"},
            r"\$.schema_version: version '9.9' is not read here; there are records of 0.2 and 0.3",
        ),
        ("inspect", {"version": 3}, r"\$.version: version '3' is not read here; there are logs of version 2"),
    ],
)
def test_a_version_that_is_not_read_here_is_refused(form: str, change: dict[str, Any], says: str) -> None:
    """Its fields may mean something else."""
    with pytest.raises(Invalid, match=says):
        figures_of(FILES[form] | change, form)
    assert figures_of(EVER | {"schema_version": "0.2.1"}, "every-eval-ever")


def test_an_interval_whose_ends_are_turned_is_refused_from_files_and_over_the_api() -> None:
    """It would be drawn upside down."""
    document = copy.deepcopy(EVER)
    document["evaluation_results"][0]["score_details"]["uncertainty"]["confidence_interval"] = {"lower": 0.9, "upper": 0.1}
    with pytest.raises(Invalid, match=r"evaluation_results\[0\]: an interval from 0.9 to 0.1 is none"):
        figures_of(document, "every-eval-ever")
    figure = EXAMPLE["figures"][0]
    assert ExternalTold.model_validate(EXAMPLE | {"figures": [figure | {"low": 0.1, "high": 0.9}]})
    with pytest.raises(ValidationError, match="low is above high"):
        ExternalTold.model_validate(EXAMPLE | {"figures": [figure | {"low": 0.9, "high": 0.1}]})


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5
)


@given(st.sampled_from(sorted(FILES)), st.data())
def test_whatever_stands_anywhere_is_read_or_refused(form: str, data: st.DataObject) -> None:
    """A part of a file is put in place by anything: its figures are told, or what is wrong; no other error comes."""
    document: Any = copy.deepcopy(FILES[form])
    at: Any = document
    while True:
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], (dict, list)) or not at[key] or data.draw(st.booleans()):
            at[key] = data.draw(ANYTHING)
            break
        at = at[key]
    try:
        assert figures_of(document, form)
    except Invalid as error:
        assert str(error)


def test_files_are_read_as_they_are_published(tmp_path: Path) -> None:
    """A document, a HELM folder, an inspect log."""
    (tmp_path / "results.json").write_text(json.dumps(LM_EVAL))
    (tmp_path / "run").mkdir()
    for name, part in HELM.items():
        (tmp_path / "run" / f"{name}.json").write_text(json.dumps(part))
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as log:
        log.writestr("header.json", json.dumps(INSPECT))
    told = [document_of(tmp_path / name) for name in ("results.json", "run", "log.eval")]
    assert [form_of(document) for document, _ in told] == ["lm-eval", "helm", "inspect"]
    assert len({sha for _, sha in told}) == 3 and all(len(sha) == 64 for _, sha in told)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("no.json", None, "there is no file .*no.json"),
        ("page.json", b"<html>", "page.json is no JSON"),
        ("bytes.json", b"\xff\xfe\x00", "bytes.json is no JSON"),
        ("log.eval", b"no zip", "log.eval cannot be read"),
        ("twice.json", b'{"results": {"arc": {"acc": 0.5, "acc": 0.9}}}', "twice.json is no JSON: 'acc' is there twice; give it once"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    """With the reason."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=says):
        document_of(tmp_path / name)


def test_a_name_that_is_there_twice_is_refused_in_folders_and_logs_too(tmp_path: Path) -> None:
    """The last of two values would count, in silence."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run_spec.json").write_text('{"name": "a", "name": "b"}')
    (tmp_path / "run" / "stats.json").write_text("[]")
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as log:
        log.writestr("header.json", '{"name": "a", "name": "b"}')
    for name in ("run", "log.eval"):
        with pytest.raises(Invalid, match=f"{name} is no JSON: 'name' is there twice; give it once"):
            document_of(tmp_path / name)


def test_a_log_that_was_not_ended_says_what_to_do(tmp_path: Path) -> None:
    """It has samples, and no header yet."""
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as log:
        log.writestr("samples/1.json", "{}")
    with pytest.raises(Invalid, match=r"has no header.json: the evaluation was not ended"):
        document_of(tmp_path / "log.eval")
