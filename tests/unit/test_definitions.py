"""Tasks of the clients' own: what is wrong is told with its line, and nothing in them is run as Python."""

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import lm_eval
import pytest

from infra.harness.defined_filters import check_filters
from infra.harness.defined_metrics import check_generation, check_metrics
from infra.harness.definition_files import alone
from infra.harness.definition_loading import unpacked
from infra.harness.definitions import checked
from infra.marked_yaml import composed, pairs
from streams.errors import Invalid

# What lm-eval and the libraries below it warn of is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")
TASKS = Path(lm_eval.__file__).parent / "tasks"
WHOLE = """task: capitals
dataset_path: me/capitals
output_type: multiple_choice
test_split: test
doc_to_text: "The capital of {{country}} is"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - metric: acc
"""


def test_a_whole_definition_is_named_and_kept_as_it_is() -> None:
    """By the name that it gives itself."""
    assert checked(alone(WHOLE), trust_code=False) == "capitals"
    with unpacked(alone(WHOLE)) as folder:
        assert [file.read_text() for file in folder.iterdir()] == [WHOLE]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("task: capitals", "task: ../x"), "line 1: task '../x' must be a name"),
        (("doc_to_text:", "doc_to_txt:"), "line 5: there is no field 'doc_to_txt'; did you mean doc_to_text?"),
        (("output_type: multiple_choice", "output_type: choice"), "line 3: output_type 'choice' must be one of multiple_choice"),
        (("test_split: test\n", ""), "line 1: test_split must be there"),
        (("dataset_path: me/capitals\n", ""), "line 1: dataset_path must be there"),
        (
            ("doc_to_target: answer", "doc_to_target: 1.0"),
            "line 7: doc_to_target must be a template, a column's name, the place of a choice",
        ),
        (("doc_to_target: answer", "doc_to_target: yes"), "or a function, not yes; put it in quotes"),
        (('"The capital of {{country}} is"', "{a: b}"), "line 5: doc_to_text must be a template, a column's name or a function, not map"),
        (('"{{choices}}"', "1.5"), "line 6: doc_to_choice must be a list, a template, a column's name or a function, not 1.5"),
        (("metric: acc", "metric: acc_nrom"), "line 9: there is no metric 'acc_nrom'; did you mean acc_norm?"),
        (("{{country}}", "{{country"), "line 5: not a Jinja template"),
        (
            ('"{{choices}}"', "!function mine.choices"),
            "line 6: !function mine.choices runs Python; write a template, or it runs only where",
        ),
        (('"{{choices}}"', "!!python/name:os.system"), "runs Python"),
        (("test_split: test", "include: _other.yaml"), "line 4: there is no file '_other.yaml'"),
        (("test_split: test", "class: mine.Task"), "line 4: class is not supported"),
        (("test_split: test", "test_split: test\ndescription: 5"), "line 5: description must be a text, not 5; put it in quotes"),
        (("test_split: test", "test_split: test\nfewshot_delimiter:"), "line 5: fewshot_delimiter must be a text, not nothing"),
        (("test_split: test", "test_split: test\nprocess_docs: short"), "line 5: process_docs must be a function, as !function utils.name"),
        (
            ("test_split: test", "test_split: test\ndataset_kwargs: [a]"),
            "line 5: dataset_kwargs must be a mapping, as {name: value}, not a list",
        ),
        (("test_split: test", "test_split: test\nuse_prompt: a:b"), "line 5: use_prompt must be left out: prompts of promptsource are"),
        (('"{{choices}}"', "[yes, no]"), "line 6: a choice must be a text, and yes is none to YAML; put it in quotes"),
        (("metric: acc", "metric: acc\n    higher_is_better: yess"), "line 10: higher_is_better must be true or false, not yess"),
        (("me/capitals", "json"), "line 2: dataset_path 'json' reads files where it is planned"),
        (("me/capitals", "/etc"), "line 2: dataset_path '/etc' reads files where it is planned"),
        (("test_split: test", "test_split: test\ndataset_kwargs:\n  data_files: x.json"), "line 6: data_files reaches beyond a data set"),
        (
            ("test_split: test", "test_split: test\ndataset_kwargs: {cache_dir: /a}"),
            "line 5: cache_dir reaches beyond a data set; leave it",
        ),
        (("test_split: test", "test_split: [test"), "not YAML"),
        (("test_split: test", "test_split: test\ntask: other"), "line 5: 'task' is there twice, here and in line 1"),
        (("me/capitals", "[a, b]"), "line 2: dataset_path must be a text, not a list"),
        (("test_split: test", "test_split: &a [*a]"), "line 4: an alias leads into itself"),
        (("test_split: test", "test_split: 2026-13-45"), "line 4: '2026-13-45' is no value: month must be in 1..12"),
        (("{{country}}", "\\ud800"), "\\ud800 is' holds half of a letter"),
        (("doc_to_target: answer\n", ""), "line 3: doc_to_target must be there for output_type multiple_choice"),
        (("metric_list:", "num_fewshot: -1\nmetric_list:"), "line 8: num_fewshot '-1' must be a whole number from 0"),
        (
            ("  - metric: acc", "  metric: acc"),
            "line 9: metric_list is a list, and this is one part of it without its dash: write - metric",
        ),
        (("metric_list:", "filter_list: {name: a}\nmetric_list:"), "line 8: filter_list is a list, and this is one part of it without its"),
        (
            ("metric_list:", "filter_list:\n  - name: a\n    filter: {function: take_first}\nmetric_list:"),
            "line 10: a filter is a list of steps, and this is one without its dash: - function: take_first",
        ),
        ((WHOLE, "- a\n- b\n"), "line 1: a task is a mapping"),
        ((WHOLE, ""), "line 1: the task's definition is empty"),
        (("test_split: test", "test_split: null"), "line 4: test_split must be there: the split whose documents are asked"),
        (("test_split: test", "validation_split:"), "line 4: test_split must be there: the split whose documents are asked"),
        (("test_split: test", "test_split: 5"), "line 4: test_split must be a text, not 5; put it in quotes"),
        (("me/capitals", "null"), "line 2: dataset_path must be there"),
        (('"The capital of {{country}} is"', "null"), "line 5: doc_to_text must be there"),
        (("doc_to_target: answer", "doc_to_target: ~"), "line 7: doc_to_target must be there for output_type multiple_choice"),
        (("metric_list:", 'should_decontaminate: "no"\nmetric_list:'), "line 8: should_decontaminate must be true or false, not no"),
        (("metric_list:", "doc_to_decontamination_query: 5\nmetric_list:"), "line 8: doc_to_decontamination_query must be a template, a"),
        (
            ("metric_list:", "dataset_kwargs: {split: test}\nmetric_list:"),
            "line 8: split of a data set is said by test_split; leave",
        ),
        (('"{{choices}}"', '!!python/object/apply:os.system ["id"]'), "object/apply:os.system runs Python; write a template"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(change: tuple[str, str], says: str) -> None:
    """And what to do about it."""
    with pytest.raises(Invalid) as refused:
        checked(alone(WHOLE.replace(*change)), trust_code=False)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("./file", "line 2: dataset_path './file' goes from where it is planned, which nobody knows; write a full path"),
        ("~/file", "goes from where it is planned"), ("..", "goes from where it is planned"),
        ("json", "line 2: dataset_path 'json' reads files: name them, as dataset_kwargs: {data_files: {test: /a/file}}"),
    ],
)  # fmt: skip
def test_a_trusted_definition_says_which_files_it_reads(path: str, says: str) -> None:
    """Where it is planned is another folder than where it is written."""
    with pytest.raises(Invalid, match=re.escape(says)):
        checked(alone(WHOLE.replace("me/capitals", path)), trust_code=True)


@pytest.mark.parametrize("nested", ["{{ " + "(" * 5000 + "a" + ")" * 5000 + " }}", "{{ a" + ".b" * 5000 + " }}", "{% if a %}" * 3000])
def test_a_template_that_is_nested_without_end_is_refused(nested: str) -> None:
    """Whether reading it ends, or looking through it: a request has it from whoever sends it."""
    with pytest.raises(Invalid, match="not a Jinja template"):
        checked(alone(re.sub(r"doc_to_text: .*", lambda _: f"doc_to_text: '{nested}'", WHOLE)), trust_code=False)


GENERATED = WHOLE.replace("multiple_choice", "generate_until").replace('doc_to_choice: "{{choices}}"\n', "").replace("acc", "exact_match")
FILTER = "filter_list:\n  - name: own\n    filter:\n      - function: "


@pytest.mark.parametrize(
    ("whole", "instead", "says"),
    [
        (WHOLE, "- metric: acc\n    aggregation: meen", "line 10: there is no aggregation 'meen'; did you mean mean?"),
        (WHOLE, "- metric: acc\n    aggregation: f1", "line 10: aggregation f1 does not take what metric acc gives (numbers); give mean"),
        (WHOLE, "- metric: perplexity", "line 9: metric perplexity is not had of multiple_choice; there are acc"),
        (WHOLE, "- metric: likelihood", "line 9: aggregation mean does not take what metric likelihood gives"),
        (WHOLE, "- metric: [acc]", "line 9: a word must be here"),
        (GENERATED, "- metric: perplexity", "line 8: metric perplexity is not had of generate_until"),
        (GENERATED, "- metric: byte_perplexity", "line 8: metric byte_perplexity is not had of generate_until"),
        (GENERATED, "- metric: acc", "line 8: metric acc is not had of generate_until"),
        (WHOLE, "- metric: acc\nfewshot_config: {fewshot_delimiter: null}", "line 10: fewshot_delimiter must be a text, not null"),
        (WHOLE, "- metric: acc\nfewshot_config: {samples: hello}", "line 10: samples must be a list of documents, as"),
        (WHOLE, "- metric: acc\nfewshot_config: {samples: [a]}", "line 10: a document of samples must be an object of fields, not a"),
        (WHOLE, "- metric: acc\nfewshot_config: {fewshot_indices: [1]}", "line 10: fewshot_indices must be left out: lm-eval passes"),
        (WHOLE, "- metric: acc\nfewshot_config: {doc_to_text: '{{a|uper}}'}", "there is no filter 'uper' in Jinja; did you mean upper?"),
        (WHOLE, "- metric: acc\ngen_prefix: '{{a is numbr}}'", "line 10: gen_prefix: there is no test 'numbr' in Jinja; did you mean nu"),
        (WHOLE, "- metric: acc\ndescription: \"{% include 'x' %}\"", "line 10: description leans on another template, and there is none"),
        (WHOLE, "- metric: acc\ndataset_name: 5", "line 10: dataset_name must be a text, not 5; put it in quotes"),
        (GENERATED, "- metric: exact_match\n    ignore_case: maybe", "line 9: ignore_case must be true or false, not maybe"),
        (GENERATED, "- metric: exact_match\n    regexes_to_ignore: ab", "line 9: regexes_to_ignore must be a list of texts, not ab"),
        (WHOLE, "- metric: acc\n    agregation: mean", "line 10: a metric has no 'agregation'; did you mean aggregation?"),
        (WHOLE, "- metric: acc\n    higher_is_beter: false", "line 10: a metric has no 'higher_is_beter'; did you mean higher_is_better?"),
        (WHOLE, "- metric: acc\n    smoothing: 1", "line 10: metric acc has no 'smoothing'; there are aggregation, average, hf_evaluate"),
        (GENERATED, "- metric: exact_match\n    agregation: mean", "line 9: a metric has no 'agregation'; did you mean aggregation?"),
        (GENERATED, "- metric: exact_match\n    ignore_cas: true", "line 9: metric exact_match has no 'ignore_cas'; did you mean"),
        (GENERATED, "- metric: bleu\n    lowercase: true", "line 9: metric bleu has no 'lowercase'"),
        (GENERATED, f"- metric: bleu\n{FILTER}lowercase\n    metric: bleu", "line 13: a filter of filter_list has no 'metric'; there are"),
        (GENERATED, f"- metric: bleu\n{FILTER}regx", "line 12: there is no filter 'regx'; did you mean regex?"),
        (GENERATED, f"- metric: bleu\n{FILTER}regex\n        patern: x", "line 13: filter regex has no argument 'patern'; did you mean"),
        (GENERATED, f"- metric: bleu\n{FILTER}regex\n        regex_pattern: '(['", "line 12: filter regex: '([' is no regular expression"),
        (GENERATED, f"- metric: bleu\n{FILTER}take_first_k", "line 12: filter take_first_k needs k as well"),
        (GENERATED, f"- metric: bleu\n{FILTER}take_first_k\n        k: 0", "line 13: filter take_first_k: k is 0; give a whole number, 1"),
        (GENERATED, f"- metric: bleu\n{FILTER}regex\n        group_select: 9", "line 13: filter regex: group_select is 9; give 0, the"),
        (GENERATED, f"- metric: bleu\n{FILTER}multi_choice_regex\n        group_select: 1", "line 13: filter multi_choice_regex: group_se"),
        (GENERATED, "- metric: exact_match\n    hf_evaluate: true",
         "line 9: metric exact_match would come from the hub, and is not had here; leave hf_evaluate out"),
        (GENERATED, f"- metric: bleu\n{FILTER}lowercase\n  - {{name: own, filter: [{{function: take_first}}]}}",
         "line 13: filter_list has 'own' twice, here and in line 10; only the last would count: give each a name of its own"),
        (WHOLE, "- metric: acc\nfewshot_config: {doc_to_target: 1.0}", "line 10: doc_to_target must be a template, a column's name, the"),
        (GENERATED, "- metric: bleu\nfilter_list: []", "line 9: filter_list must list at least one, as - {name: first, filter: [{function"),
        (GENERATED, "- metric: bleu\nfilter_list: [{name: own, filter: []}]", "line 9: a filter has at least one step, as"),
        (GENERATED, "- metric: exact_match\n  - metric: exact_match\n    ignore_case: true",
         "line 9: metric_list has 'exact_match' twice, here and in line 8; only the last would count: keep one"),
        (GENERATED, "- metric: bleu\n  - {metric: !function os.bleu, aggregation: mean}", "line 9: !function os.bleu runs Python"),
        (GENERATED, "- metric: bleu\nfewshot_config:\n  smapler: first_n", "line 10: fewshot_config has no 'smapler'; did you mean"),
        (GENERATED, "- metric: bleu\nfewshot_config:\n  sampler: frist_n", "line 10: there is no sampler 'frist_n'; did you mean first_n?"),
        (GENERATED, "- metric: bleu\nfewshot_config: first_n", "line 9: fewshot_config must be a mapping"),
        (GENERATED, "- metric: bleu\ngeneration_kwargs: hello", "line 9: generation_kwargs must be a mapping"),
        (GENERATED, "- metric: bleu\ngeneration_kwargs:\n  max_gen_tok: 3", "line 10: there is no generation argument 'max_gen_tok'"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_found_before_anything_runs(whole: str, instead: str, says: str) -> None:
    """With its line, and the word that was meant."""
    with pytest.raises(Invalid) as refused:
        checked(alone(whole.replace("- metric: acc" if whole is WHOLE else "- metric: exact_match", instead)), trust_code=False)
    assert says in str(refused.value)


def test_a_name_may_be_any_of_lm_evals() -> None:
    """Some have parentheses."""
    assert checked(alone(WHOLE.replace("task: capitals", "task: capitals_(general)")), trust_code=False) == "capitals_(general)"


def test_a_definition_that_names_no_output_type_generates() -> None:
    """As in lm-eval."""
    assert checked(alone(GENERATED.replace("output_type: generate_until\n", "")), trust_code=False) == "capitals"


def test_what_lm_evals_own_tasks_say_is_understood() -> None:
    """Their filters, metrics and generation arguments, but for metrics that come from the hub."""
    faults = [fault for file in sorted(TASKS.rglob("*.yaml"))[::60] for fault in faults_of(file.read_text())]
    assert [fault for fault in faults if "there is no metric" not in fault] == []


def faults_of(text: str) -> Iterator[str]:
    """What is found wrong in how a task is scored; nothing in a file without a kind of its own."""
    with suppress(Invalid):  # of the few that give a key twice
        told = pairs(composed(text, code="test"))
        kind = told["output_type"][1].value if "output_type" in told else None
        checks: dict[str, Callable[[Any], None]] = {
            "filter_list": check_filters,
            "generation_kwargs": check_generation,
            "metric_list": partial(check_metrics, kind=str(kind)),
        }
        for name, check in checks.items():
            if kind == "generate_until" and name in told and "process_results" not in told:
                try:
                    check(told[name][1])
                except Invalid as error:
                    yield str(error)


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ("mine\n    aggregation: meen", "line 10: there is no aggregation 'meen'; did you mean mean?"),
        ("mine", "line 9: metric mine needs its aggregation, as aggregation: mean"),
        ("mine\n    agregation: mean", "line 10: a metric has no 'agregation'; did you mean aggregation?"),
        ("mine\n    aggregation: mean\n    weight_by_size: true", None),
        ("acc", None),
        ("acc\n  - metric: acc", "line 10: metric_list has 'acc' twice, here and in line 9"),
        ("bleu\n  - {metric: !function os.bleu, aggregation: mean}", "line 10: metric_list has 'bleu' twice, here and in line 9"),
    ],
)
def test_a_metric_of_ones_own_is_aggregated_by_what_there_is(metric: str, says: str | None) -> None:
    """lm-eval finds it when the last sample is scored."""
    whole = alone(WHOLE.replace("metric: acc", f"metric: {metric}") + "process_results: !function os.listdir\n")
    with pytest.raises(Invalid, match=says) if says else nullcontext():
        checked(whole, trust_code=True)


@pytest.mark.parametrize(
    "change",
    [
        ('"{{choices}}"', "!function os.listdir"),
        ("metric_list:", "num_fewshot: null\nmetric_list:"),
        ("me/capitals", "json\ndataset_kwargs: {data_files: {test: /a/b.json}}"),
        ("me/capitals", "/a/folder"),
        ("metric: acc", "metric: !function os.stat\n    follow_symlinks: true\n    aggregation: mean\n    higher_is_better: true"),
        ("metric: acc", "metric: f1\n    hf_evaluate: true\n    average: macro"),
        ("metric: acc", "metric: mine\n    aggregation: mean\nprocess_results: !function os.listdir"),
    ],
)
def test_what_a_request_trusts_is_let_through(change: tuple[str, str]) -> None:
    """It is part of the request, and shown on the run."""
    assert checked(alone(WHOLE.replace(*change)), trust_code=True) == "capitals"
