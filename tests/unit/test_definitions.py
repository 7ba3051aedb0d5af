"""Tasks of the clients' own: what is wrong is told with its line, and nothing in them is run as Python."""

import pytest

from infra.harness.definitions import checked, folder_of
from streams.errors import Invalid

# What lm-eval and the libraries below it warn of is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")
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
    assert checked(WHOLE, trust_code=False) == "capitals"
    with folder_of("capitals", WHOLE) as folder, open(f"{folder}/capitals.yaml") as file:
        assert file.read() == WHOLE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("task: capitals", "task: ../x"), "line 1: task '../x' must be a name"),
        (("doc_to_text:", "doc_to_txt:"), "line 5: there is no field 'doc_to_txt'; did you mean doc_to_text?"),
        (("output_type: multiple_choice", "output_type: choice"), "line 3: output_type 'choice' must be one of multiple_choice"),
        (("test_split: test\n", ""), "line 1: test_split must be there"),
        (("dataset_path: me/capitals\n", ""), "line 1: dataset_path must be there"),
        (("metric: acc", "metric: acc_nrom"), "line 9: there is no metric 'acc_nrom'; did you mean acc_norm?"),
        (("{{country}}", "{{country"), "line 5: not a Jinja template"),
        (
            ('"{{choices}}"', "!function mine.choices"),
            "line 6: !function mine.choices runs Python; write a template, or it runs only where",
        ),
        (('"{{choices}}"', "!!python/name:os.system"), "runs Python"),
        (("test_split: test", "include: _other.yaml"), "line 4: include is not supported"),
        (("test_split: test", "class: mine.Task"), "line 4: class is not supported"),
        (("me/capitals", "json"), "line 2: dataset_path 'json' reads files where it is planned"),
        (("me/capitals", "/etc"), "line 2: dataset_path '/etc' reads files where it is planned"),
        (("test_split: test", "test_split: test\ndataset_kwargs:\n  data_files: x.json"), "line 6: data_files reaches beyond a data set"),
        (("test_split: test", "test_split: [test"), "not YAML"),
        ((WHOLE, "- a\n- b\n"), "line 1: a task is a mapping"),
        ((WHOLE, ""), "line 1: the task's definition is empty"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(change: tuple[str, str], says: str) -> None:
    """And what to do about it."""
    with pytest.raises(Invalid) as refused:
        checked(WHOLE.replace(*change), trust_code=False)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        ('"{{choices}}"', "!function mine.choices"),
        ("me/capitals", "json"),
        ("metric: acc", "metric: mine\nprocess_results: !function mine.results"),
    ],
)
def test_what_a_request_trusts_is_let_through(change: tuple[str, str]) -> None:
    """It is part of the request, and shown on the run."""
    assert checked(WHOLE.replace(*change), trust_code=True) == "capitals"
