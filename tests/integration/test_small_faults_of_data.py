"""Small faults of data, each told in words: nulls within texts, numbers that are none, functions without documents, digits for places."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.harness.building import build
from infra.harness.chat import Dress
from infra.harness.wrongly_shown import wrongly_shown
from infra.settings import Settings
from schemas.requests import Chat, TaskChoice, TaskPart
from streams.errors import Invalid
from tests.integration.test_documents import ROWS, built, lines, without_place
from tests.unit.test_definitions import GENERATED, WHOLE

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]
NULLS = {"l": ["a", None, "b"], "n": None, "d": {"x": None}, "t": "text", "s": ["a", "b"], "o": [{"x": "a"}, {"x": None}]}


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{l|join}}", "l[1]"), ("{{l|join(', ')}}", "l[1]"), ("{{t ~ n}}", "n"), ("{{n|upper}}", "n"), ("{{'%s'|format(n)}}", "n"),
        ("{{n|string}}", "n"), ("{{d}}", "d.x"), ("{{l}}", "l[1]"), ("{{l[1]}}", "l[1]"), ("{{o|map(attribute='x')|join}}", "o[1].x"),
        ("{% for one in l %}{{one}}{% endfor %}", "l[1]"), ("{{d.get('y')}}", "what is made of a column"), ("{{n|replace('a', 'b')}}", "n"),
        ("{{n|default('x')}}", "n"), ("{{ 'x: {}'.format(n) }}", "n"), ("{{l|tojson}}", None), ("{{n|default('x', true)}}", None),
        ("{{n or 'x'}}", None), ("{% if n is none %}none{% else %}{{n}}{% endif %}", None), ("{{l|select|join}}", None),
        ("{{l|reject('none')|join}}", None), ("{{l|reject('equalto', none)|join}}", None), ("{{'x' if n == none else n}}", None),
        ("{{l|length}}", None), ("{{s|join}}", None), ("{{n|int}}", None), ("{{ 1 if none in l else 0 }}", None), ("{{t}}", None),
        ("{{ {none: 'k'}[n] }}", None), ("no tag", None), ("{{ n is string }}", None), ("{{l|sort}}", None),
    ],
)  # fmt: skip
def test_a_null_that_a_template_shows_is_found_wherever_it_is(template: str, shown: str | None) -> None:
    """As a value, joined, put into a text or within a list; what only asks about it, or writes JSON, shows none."""
    told = f"{shown} is null, and would be shown as None; give a value, or leave the row out" if shown else None
    assert wrongly_shown(template, NULLS) == told


FLAGS = {"f": True, "d": {"x": False}, "l": [True, False], "t": "text", "n": None}


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{f}}", "f is true, and would be shown as True, as Python writes it; write {{ 'yes' if f else 'no' }}, as you mean it"),
        ("{{t}}: {{d.x}}", "d.x is false, and would be shown as False, as Python writes it; write {{ 'yes' if d.x else 'no' }}"),
        ("{% for one in l %}{{one}}{% endfor %}", "l[0] is true"), ("{{f or n}}", "f is true"), ("{{f|default(false)}}", "f is true"),
        ("{{t ~ f}}", "f is true"), ("{{l|join}}", "l[0] is true"), ("{{'%s'|format(f)}}", "f is true"),
        ("{{'{}'.format(f)}}", "f is true"),
        ("{{ 'yes' if f else 'no' }}", None), ("{{f|lower}}", None), ("{{f|int}}", None), ("{{f + 1}}", None),
        ("{{f|tojson}}", None), ("{{ t == 'text' }}", None), ("{% if f is true %}a{% else %}{{n}}{% endif %}", None),
        ("{{ ['no', 'yes'][f] }}", None),
        ("{% if f|string == 'True' and f|lower == 'true' and f == true and f in [true] %}a{% else %}{{n}}{% endif %}", None),
        ("{% if f is boolean and f is not integer and f is sameas true and d.x is false %}a{% else %}{{n}}{% endif %}", None),
        ("{{ {true: 'k'}[f] }}", None), ("{{ t is string }}", None), ("{{ not f }}", None), ("{{l}}", None), ("{{d}}", None),
    ],
)  # fmt: skip
def test_true_and_false_are_shown_as_somebody_means_them(template: str, shown: str | None) -> None:
    """Not as Python writes them; what the template itself asks, it shows as its author knows."""
    told = wrongly_shown(template, FLAGS)
    assert (told is None) if shown is None else (told or "").startswith(shown)


@pytest.mark.parametrize(("choices", "taken"), [(["True", "False"], True), (["yes", "no"], False)])
def test_true_is_a_right_answer_where_a_choice_is_called_so(tmp_path: Path, choices: list[str], taken: bool) -> None:
    """As tasks have it whose choices are True and False, in their examples too."""
    whole = WHOLE.replace("doc_to_target: answer", 'doc_to_target: "{{right}}"')
    rows = "\n".join(json.dumps(row | {"choices": choices, "right": n % 2 == 0}) for n, row in enumerate(ROWS))
    if taken:
        made = built(tmp_path, whole, rows, fewshot=1)
        assert [sample.target for sample in made.samples[:2]] == ["True", "False"]
        return
    with pytest.raises(Invalid, match=r"line 7: document 0 .*, doc_to_target: right is true, and would be shown as True"):
        built(tmp_path, whole, rows)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{country.upper}}", "what would be shown is a function of Python's, upper; call it, as upper()"),
        ("{{choices|map('upper')}}", "what would be shown is no text yet, but what a filter goes through; add |join or |list"),
        ("{{self}}", "self is a name of Jinja's own; give the column another"),
    ],
)
def test_what_is_no_text_is_not_shown(tmp_path: Path, template: str, says: str) -> None:
    """lm-eval asks for "<built-in method upper of str object at 0x7f…>", which is another text in every process."""
    with pytest.raises(Invalid) as refused:
        built(tmp_path, WHOLE.replace("{{country}}", template), lines(-1))
    assert f"line 5: document 0, doc_to_text: {says}" in without_place(str(refused.value))


def test_a_null_in_a_list_that_is_joined_is_refused(tmp_path: Path) -> None:
    """With file, line, field, document and what to do; in the description too, and in what an answer begins with."""
    for name, (old, new), field in (
        ("a", ("{{country}}", "{{choices|join(' or ')}}"), "doc_to_text"),
        ("b", ("metric_list", "description: \"Of {{choices|join}}:\\n\"\nmetric_list"), "description"),
        ("c", ("metric_list", 'gen_prefix: "{{choices|join}}"\nmetric_list'), "gen_prefix"),
    ):  # fmt: skip
        task = WHOLE.replace('doc_to_choice: "{{choices}}"', "doc_to_choice: [Here, There]").replace(old, new)
        with pytest.raises(Invalid) as refused:
            built(tmp_path / name, task, lines(2, choices=["a", None]))
        told = (
            f"document 2 (me__capitals/default/test.jsonl, line 3), {field}: choices[1] is null, and would be shown as None; give a value"
        )
        assert re.match(r"line \d+: ", str(refused.value))
        assert told in str(refused.value)
        assert built(tmp_path / f"{name}1", task, lines(2, choices=["a", None]), skip_bad_rows=True).rows_skipped == 1


@pytest.mark.parametrize("number", ["1e999", "-1e999", "123456789e400", "9" * 5000])
def test_a_number_that_is_none_here_is_told_with_its_field(tmp_path: Path, number: str) -> None:
    """Python reads infinity. A row that may be left out is."""
    rows = lines(3, answer={"deep": [0]}).replace('"deep": [0]', f'"deep": [0.5, {number}]')
    says = f"test.jsonl, line 4, field answer.deep[]: {number[:40]} is larger than any number here (1.8e308); write it as a text, in quotes"
    with pytest.raises(Invalid) as refused:
        built(tmp_path / "a", WHOLE, rows)
    assert says in str(refused.value)
    made = built(tmp_path / "b", WHOLE, rows, skip_bad_rows=True)
    assert (made.rows_skipped, len(made.samples)) == (1, 5)
    assert says in str(made.skipped_first)
    assert built(tmp_path / "c", WHOLE, lines(3).replace('"Land 3"', '"1e999"')).samples


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "docs.map(lambda one: one)",
            "process_docs gives null: it must give a data set, as docs.map(…) and docs.filter(…) do; does it return",
        ),
        ("return [one for one in docs]", "process_docs gives a list: it must give a data set"),
        ("return {'test': docs}", "process_docs gives an object: it must give a data set"),
    ],
)
def test_a_function_that_gives_no_documents_is_told_in_words(tmp_path: Path, body: str, says: str) -> None:
    """With its line in the definition, and no word of Python's."""
    whole = WHOLE.replace("test_split: test", "test_split: test\nprocess_docs: !function mine.docs")
    parts = (TaskPart(path="mine.py", text=f"def docs(docs):\n    {body}\n"),)
    with pytest.raises(Invalid) as refused:
        built(tmp_path, whole, lines(-1), file="a.yaml", parts=parts, trust_code=True)
    assert f"a.yaml, line 5: {says}" in str(refused.value)


def test_what_a_function_makes_of_rows_is_told_with_their_file(tmp_path: Path) -> None:
    """Not with a line: it may have left some out, or made several of one."""
    whole = WHOLE.replace("test_split: test", "test_split: test\nprocess_docs: !function mine.docs")
    text = "def docs(docs):\n    return docs.map(lambda one: one | {'country': None if one['answer'] else one['country']})\n"
    told: dict[str, Any] = {"file": "a.yaml", "parts": (TaskPart(path="mine.py", text=text),), "trust_code": True}
    with pytest.raises(
        Invalid, match=r"document 1 \(of what process_docs makes of me__capitals/default/test\.jsonl\), doc_to_text: country"
    ):
        built(tmp_path / "a", whole, lines(-1), **told)
    told["parts"] = (TaskPart(path="mine.py", text="def docs(docs):\n    return docs.filter(lambda one: False)\n"),)
    with pytest.raises(Invalid, match=r"has no document: its process_docs leaves none \(me__capitals/default/test.jsonl\)"):
        built(tmp_path / "b", whole, lines(-1), **told)


def test_a_document_of_a_named_file_is_told_with_it(tmp_path: Path) -> None:
    """Also where the library reads it, as where data_files name one."""
    rows = tmp_path / "mine.jsonl"
    rows.write_text("\n".join(json.dumps(row | ({"country": None} if n == 2 else {})) for n, row in enumerate(ROWS)))
    whole = WHOLE.replace("dataset_path: me/capitals", f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {rows}}}}}")
    with pytest.raises(Invalid) as refused:
        built(tmp_path, whole, lines(-1), trust_code=True)
    assert f"document 2 ({rows}, row 3), doc_to_text: country is null" in str(refused.value)


def test_a_prompt_of_digits_alone_is_told(tmp_path: Path) -> None:
    """lm-eval takes it for the place of a choice, and breaks over it, or scores it as wrong; the first document says for all."""
    told = {"text": "the number 42, where the first document has a text: digits alone are taken for a place; put a word beside them",
            "place": "a text of 6, where the first document has the place of a choice"}  # fmt: skip
    for name, (rows, says) in {"a": (lines(3, country="42"), told["text"]), "b": (lines(0, country="0"), told["place"])}.items():
        task = WHOLE.replace('"The capital of {{country}} is"', '"{{country}}"')
        with pytest.raises(Invalid) as refused:
            built(tmp_path / name, task, rows)
        assert f"doc_to_text: {says}" in without_place(str(refused.value))
    places = WHOLE.replace('"The capital of {{country}} is"', "answer").replace("doc_to_target: answer", "doc_to_target: country")
    assert built(tmp_path / "c", places, lines(-1)).samples
    with pytest.raises(Invalid, match=r"document 3 .*doc_to_text: the number 7 is no place of its 2 choices; give 0 to 1"):
        built(tmp_path / "d", places, lines(3, answer=7))
    texts = GENERATED.replace('"The capital of {{country}} is"', '"{{country}}"').replace(
        "doc_to_target: answer", 'doc_to_target: answer\ndoc_to_choice: "{{choices}}"'
    )
    with pytest.raises(Invalid, match=r"document 3 .*: digits alone are taken for a place"):
        built(tmp_path / "e", texts, lines(3, country="42"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lines(-1).encode("utf-16"), "test.jsonl is UTF-16 or UTF-32; save it as UTF-8"),
        (
            lines(2, country="Perú").replace("\\u00fa", "ú").encode("latin-1"),
            "line 3: not UTF-8 (byte 17 is 0xfa); save the file as",
        ),
        (json.dumps(ROWS).encode(), "test.jsonl is one list of 6, and a split is JSON Lines, an object on each line: jq -c '.[]' writes"),
        (b"\xef\xbb\xbf" + json.dumps(ROWS, indent=1).encode(), "test.jsonl is one list of 6, and a split is JSON Lines"),
        (f'{lines(-1)[:-1]}, "x": {"[" * 300}{"]" * 300}}}'.encode(), "test.jsonl, line 6: lists within lists, too deep to be read; write"),
    ],
)
def test_a_file_that_is_no_json_lines_is_told_as_what_it_is(tmp_path: Path, body: bytes, says: str) -> None:
    """Not as a decoder of Python's takes it. A mark of UTF-8's at its beginning, and lines that end as Windows' do, are no matter."""
    built(tmp_path, WHOLE, lines(-1))
    (tmp_path / "me__capitals" / "default" / "test.jsonl").write_bytes(body)
    with pytest.raises(Invalid) as refused:
        again(tmp_path)
    assert says in str(refused.value)
    (tmp_path / "me__capitals" / "default" / "test.jsonl").write_bytes(b"\xef\xbb\xbf" + lines(-1).replace("\n", "\r\n").encode())
    assert len(again(tmp_path).samples) == 6


def again(folder: Path) -> Any:
    """The task over the file that lies there."""
    choice = TaskChoice(name="capitals", definition=WHOLE)
    return build(choice, dress=Dress(Chat()), settings=Settings(home=folder, datasets=folder))


def test_a_row_that_no_record_holds_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """Its document, with what is asked of it; half of that is published apart, and no matter."""
    says = r"document 2 \(.*test\.jsonl, line 3\) takes 2,200,\d{3} bytes with its requests, and a record of the log holds 2,093,056; leave"
    with pytest.raises(Invalid, match=says):
        built(tmp_path / "a", WHOLE, lines(2, hint="x" * 2_200_000))
    assert built(tmp_path / "b", WHOLE, lines(2, country="x" * 900_000)).samples


def test_a_right_choice_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Of equal likelihoods the first counts: a model that says what is right would be wrong. Wrong ones may be alike."""
    for answer, alike in ((0, (0, 1)), (1, (0, 1)), (2, (1, 2))):
        choices = ["a", "b", "c"]
        choices[alike[0]] = choices[alike[1]]
        with pytest.raises(Invalid) as refused:
            built(tmp_path / str(answer), WHOLE, lines(2, choices=choices, answer=answer))
        told = f"document 2, doc_to_choice: choices {alike[0]} and {alike[1]} are alike, and one of them is right: no answer can be told"
        assert told in without_place(str(refused.value))
    assert built(tmp_path / "x", WHOLE, lines(2, choices=["a", "b", "b"], answer=0)).samples


def test_a_column_may_have_any_name(tmp_path: Path) -> None:
    """One that Python's functions, or Jinja, have for themselves too; lm-eval breaks over `self`."""
    rows = lines(-1).replace('"answer"', '"self": "s", "": 3, "answer"')
    assert built(tmp_path, WHOLE, rows).samples[0].requests[0].context == "The capital of Land 0 is"


def test_rows_that_are_copies_of_what_is_asked_are_told(tmp_path: Path) -> None:
    """Where a document is never its own example; lm-eval ends with "Sample larger than population"."""
    with pytest.raises(Invalid, match="capitals at 2 shots has fewer than 2 examples beside one that is asked, for rows are copies of it"):
        built(tmp_path, WHOLE, "\n".join([json.dumps(ROWS[0])] * 6), fewshot=2, fewshot_exclude_self=True)
