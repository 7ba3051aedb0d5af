"""Labels as CSV files: what spreadsheets do to them is borne, and what is wrong is told with its line and column."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.cli.label_files import Row, placed, read, template
from streams.errors import Invalid
from streams.quality.labels import scale_of
from streams.visible import FORMULAS, in_cell, of_cell
from tests.runs import run_named

R, OTHER = run_named("r"), run_named("other")
RATING, PAIRS = scale_of("assay_judge_writing"), scale_of("assay_judge_pairwise")
ANSWER: dict[str, Any] = {
    "task": "story",
    "ordinal": 3,
    "repeat": 0,
    "request": 0,
    "draw": 1,
    "swapped": False,
    "prompt": "Tell",
    "answer": "Once",
    "other": None,
}
HEAD = "task,ordinal,label,note\n"


def written(tmp_path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    """A file of that text."""
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding=encoding, newline="")
    return path


def refusal(path: Path, scale: Any = RATING) -> str:
    """What is said of it."""
    with pytest.raises(Invalid) as refused:
        read(path, run_id=R, scale=scale)
    return str(refused.value).removeprefix(f"{path}")


@given(cell=st.text())
def test_no_cell_is_a_formula_and_each_comes_back(cell: str) -> None:
    """Whatever a model wrote."""
    assert not in_cell(cell).startswith(FORMULAS)
    assert of_cell(in_cell(cell)) == cell or cell.startswith("'")


def test_a_template_is_filled_in_and_read(tmp_path: Path) -> None:
    """With texts of several lines, and formulas among them; rows without a label are counted."""
    answers = [ANSWER | {"answer": '=HYPERLINK("x")\n"quoted", and\r\nmore'}, ANSWER | {"ordinal": 4, "prompt": "-1, or\n+2?"}]
    text = template(R, answers)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert (rows[0]["answer"], rows[1]["prompt"]) == ("'" + answers[0]["answer"], "'-1, or\n+2?")
    assert "other" not in rows[0] and "swapped" not in rows[0]
    rows[0] |= {"label": "7", "note": "=so so"}
    out = io.StringIO(newline="")
    filled = csv.DictWriter(out, rows[0])
    filled.writeheader()
    filled.writerows(rows)
    found = read(written(tmp_path, out.getvalue(), encoding="utf-8-sig"), run_id=R, scale=RATING)
    place = {name: ANSWER[name] for name in ("task", "ordinal", "repeat", "request", "draw", "swapped")}
    assert (found.rows, found.without) == ((Row(2, place | {"label": "7", "note": "=so so"}),), 1)


def test_a_template_of_pairs_says_the_order(tmp_path: Path) -> None:
    """So that a person does not know whose answer stands first, and the file does."""
    text = template(R, [ANSWER | {"other": "Twice", "swapped": True}]).replace("Twice,,", "Twice,second,")
    (row,) = read(written(tmp_path, text), run_id=R, scale=PAIRS).rows
    assert (row.told["swapped"], row.told["label"]) == (True, "second")


@pytest.mark.parametrize(
    ("written_as", "comes_back_as", "is_it"),
    [
        ("Once\r\nupon a  time", "Once\nupon a time ", True),
        ("=1+1", "=1+1", True),
        ("=1+1", "'=1+1", True),
        ("'=1+1", "'=1+1", True),
        ("Once", "Twice", False),
        ("Once", "", False),
        ("a" * 40_000, "a" * 32_767, True),
        ("\x0c\u2028Once", "Once", True),
    ],
)
@pytest.mark.parametrize("name", ["answer", "other"])
def test_a_text_that_was_changed_is_refused_with_its_line(
    tmp_path: Path, written_as: str, comes_back_as: str, is_it: bool, name: str
) -> None:
    """What spreadsheets do to spaces, lines and long cells is no change."""
    texts = {"answer": "A", "other": "B", name: written_as}
    rows = list(csv.DictReader(io.StringIO(template(R, [ANSWER | texts]), newline="")))
    rows[0] |= {"label": "first", name: comes_back_as}
    out = io.StringIO(newline="")
    filled = csv.DictWriter(out, rows[0])
    filled.writeheader()
    filled.writerows(rows)
    if is_it:
        assert len(read(written(tmp_path, out.getvalue()), run_id=R, scale=PAIRS).rows) == 1
    else:
        assert refusal(written(tmp_path, out.getvalue()), PAIRS).startswith(", line 2, column answer: somebody changed a text in this row")


@pytest.mark.parametrize(
    "text",
    [
        "task,ordinal,label\nstory,3,7.5\n",
        "Task ;Ordinal; LABEL\r\nstory;3.0;7,5\r\n;;\r\n",
        "run,task,ordinal,repeat,label,mine\n" + f"{R},story,3,,7.5,x\n",
        '\ufefftask,ordinal,label\n"story","3","7.5"\n',
    ],
)
def test_what_spreadsheets_do_is_borne(tmp_path: Path, text: str) -> None:
    """Semicolons, decimal commas, byte order marks, numbers with a point, empty rows, further columns."""
    (row,) = read(written(tmp_path, text), run_id=R, scale=RATING).rows
    assert (row.line, row.told["task"], row.told["ordinal"], row.told["repeat"], row.told["label"]) == (2, "story", 3, 0, "7.5")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "story,3,7,\nstory,4,seven,\n", ", line 3, column label: label 'seven': write a number of 1 to 10"),
        (HEAD + "story,x,7,\n", ", line 2, column ordinal: 'x' is no whole number"),
        (HEAD + "story,-1,7,\n", ", line 2, column ordinal: '-1' is no whole number"),
        (HEAD + "story,,7,\n", ", line 2, column ordinal: '' is no whole number"),
        (HEAD + ",3,7,\n", ", line 2, column task: it is empty"),
        (HEAD + 'story,3,7,"of\ntwo lines"\nstory,3,8,\n', ", line 4, column ordinal: the same answer as in line 2; leave one out"),
        (HEAD + "story,3,7\n", ", line 2: 3 cells under a head of 4"),
        (HEAD + 'story,3,7,"open\n', ", line 2: no CSV: unexpected end of data"),
        (HEAD + "story,3,,\n", " has no label in it: fill in the column label"),
        ("task,ordinal,lable\nstory,3,7\n", ", line 1: no column 'label'; is it 'lable'?"),
        ("task,ordinal,label,label\nstory,3,7,8\n", ", line 1: column 'label' comes twice"),
        ("run," + HEAD + f"{OTHER},story,3,7,\n", f", line 2, column run: this row is about run {OTHER!r}, not {R}"),
        (HEAD + "".join(f"story,{at},0,\n" for at in range(5)), ", line 2, column label: label '0': write a number of 1 to 10; line 3, "
         "column label: label '0': write a number of 1 to 10; line 4, column label: label '0': write a number of 1 to 10; and 2 more"),
        ("", " is empty: `assay judge labels "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_line_and_column(tmp_path: Path, text: str, says: str) -> None:
    """Nothing of the file is taken."""
    told = refusal(written(tmp_path, text))
    assert told == says or (says.endswith(" ") and told.startswith(says))


def test_another_encoding_is_told(tmp_path: Path) -> None:
    """With what to do; and so is a file that is not there."""
    path = written(tmp_path, HEAD + "story,3,7,schön\n", encoding="cp1252")
    assert refusal(path) == ", line 2: it is not UTF-8 (byte 14 of the line is 0xf6); save the file as UTF-8"
    assert refusal(tmp_path / "none.csv") == f"there is no file {tmp_path / 'none.csv'}"


def test_verdicts_of_pairs_are_words(tmp_path: Path) -> None:
    """And their order is yes or no."""
    told = refusal(written(tmp_path, "task,ordinal,swapped,label\nstory,1,maybe,first\nstory,2,no,better\n"), PAIRS)
    assert told == ", line 2, column swapped: 'maybe'; write yes or no; line 3, column label: label 'better': write first, second or tie"


def test_what_the_api_refuses_is_told_with_the_files_line() -> None:
    """As if it had been found here."""
    rows, path = [Row(2, {}), Row(7, {})], Path("mine.csv")
    told = placed(Invalid("labels.1.ordinal: run r has no such answer", code="no-such-answer"), path, rows)
    assert (str(told), told.code) == ("mine.csv, line 7, column ordinal: run r has no such answer", "no-such-answer")
    other = Invalid("no run r", code="unknown-run")
    assert placed(other, path, rows) is other


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("task\tordinal\tlabel\nt\t0\t7\n", 2), ("\n\r\ntask,ordinal,label\nt,0,7\n", 4), ("sep=;\r\ntask;ordinal;label\r\nt;0;7\r\n", 3),
        ("task;ordinal;label\nt;0;7,5\n", 2),
    ],
)  # fmt: skip
def test_cells_are_parted_as_spreadsheets_do_it(tmp_path: Path, text: str, line: int) -> None:
    """By commas, semicolons or tabs; with empty lines above, and with what Excel is told by. Lines are the file's."""
    (row,) = read(written(tmp_path, text), run_id=R, scale=RATING).rows
    assert (row.line, row.told["task"], row.told["ordinal"]) == (line, "t", 0)
    assert refusal(written(tmp_path, text.replace("7", "70"))).startswith(f", line {line}, column label: label '70")


def test_a_number_is_written_as_people_write_it(tmp_path: Path) -> None:
    """Python reads 1_0 as 10."""
    assert refusal(written(tmp_path, "task,ordinal,label\nt,0,1_0\n")) == ", line 2, column label: label '1_0': write a number of 1 to 10"
