"""The commands themselves: each has help with examples, the manual is theirs, and what is not understood is one line."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.models import locate
from infra.places import is_there
from infra.settings import Settings, of_process
from query_api.cli.client import Client
from query_api.cli.completing import topic_names
from query_api.cli.main import COMMANDS, GROUPS, assembled, main
from query_api.cli.manual import WRITTEN, commands_without_examples, manual
from schemas.requests import ModelRef
from streams.errors import Invalid

ROOT = Path(__file__).parents[2]


def test_every_command_has_examples() -> None:
    """In its help."""
    assert commands_without_examples() == []


def test_every_command_shows_its_help() -> None:
    """With its own name and its options, groups' commands too."""
    runner, named = CliRunner(), [path.split()[1:] for path in re.findall(r"^## (assay .+)$", WRITTEN.read_text(), re.MULTILINE)]
    for words in named:
        told = runner.invoke(assembled(), [*words, "--help"])
        assert (told.exit_code, " ".join(words) in told.output, "--help" in told.output) == (0, True, True), words
    assert len(named) > 50


def test_the_manual_is_what_the_commands_say() -> None:
    """And names each of them."""
    told = WRITTEN.read_text()
    assert told == manual()
    names = [command.__name__.replace("_", "-") for commands in COMMANDS.values() for command in commands]
    names += [f"{bare.__name__.replace('_', '-')} {name}" for groups in GROUPS.values() for bare, named in groups for name in named]
    assert [name for name in names if f"\n## assay {name}\n" not in told] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rnk",), "No such command 'rnk'. Did you mean 'rank'"),
        (("runs", "--limit", "x"), "Invalid value for '--limit'"),
        (("runs", "--limit", "0"), "Invalid value for '--limit': '0': give 1 to 500"),
        (("runs", "--limit", "1_0"), "Invalid value for '--limit': '1_0' is no whole number of at most 63 bits; write it as 25"),
        (("submit", "--fewshot", "٣"), "Invalid value for '--fewshot': '٣' is no whole number"),
        (("submit", "--fewshot", "9" * 5000), "is no whole number of at most 63 bits"),
        (("perf", "--rate", "1_0.5"), "Invalid value for '--rate': '1_0.5' is no number; write it as 2.5"),
        (("perf", "--rate", "1e400"), "Invalid value for '--rate': '1e400' is out of all bounds; write 0, or a number from 1e-30 to"),
        (("submit", "--budget-s", "nan"), "Invalid value for '--budget-s': 'nan' is no number; write it as 2.5"),
        (("submit", "--budget-usd", "inf"), "Invalid value for '--budget-usd': 'inf' is no number"),
        (("compare", "a", "b", "--difference", "-1"), "Invalid value for '--difference': '-1': give 0 or more"),
        (("decisions", "outcome", "a", "--satisfaction", "1.5"), "Invalid value for '--satisfaction': '1.5': give 0 to 1"),
        (("submit", "--taks", "x"), "No such option: --taks (Possible options: --base, --task)"),
        (("run",), "Missing argument"),
        (("compare", "a"), "Missing argument"),
        (("dead-letters", "shwo", "a"), "No such command 'shwo'"),
    ],
)
def test_what_is_not_understood_is_one_line_with_the_help_to_read(
    arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, nothing on stdout."""
    monkeypatch.setattr(sys, "argv", ["assay", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out, len(told.err.splitlines())) == (2, "", 1)
    assert says in told.err
    assert "--help`" in told.err


ASKED = ("submit", "--model", "m", "--task", "t")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*ASKED, "--deadline", "9" * 400 + "d"), "write a time such as"),
        ((*ASKED, "--deadline", "2h" * 10**5), "write a time such as"),
        ((*ASKED, "--deadline", "99999999999d"), "write a time such as"),
        ((*ASKED, "--limit", "nan"), "limit 'nan': give a number of samples such as 200, or a share such as 0.1"),
        ((*ASKED, "--limit", "1.0"), "limit 1.0: give 1 or more"),
        ((*ASKED, "--limit", "many"), "limit 'many': give a number of samples such as 200"),
        (("submit", "--model", "/\udcff", "--task", "t"), "model.uri '/\\udcff' is no text in UTF-8"),
    ],
)
def test_what_json_has_no_form_for_is_one_line(
    arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is sent: exit code 1."""
    monkeypatch.setattr(sys, "argv", ["assay", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out, len(told.err.splitlines())) == (1, "", 1)
    assert says in told.err and len(told.err) < 300


def test_a_terminal_without_the_letters_shows_them_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed ends no command."""
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", written)
    monkeypatch.setattr(sys, "argv", ["assay", "submit", "--model", "m", "--task", "t"])
    monkeypatch.setattr(Client, "post", lambda *_: {"run_id": "модель"})
    with pytest.raises(SystemExit) as ended:
        main()
    written.flush()
    buffer = written.buffer
    assert isinstance(buffer, io.BytesIO)
    assert (ended.value.code, buffer.getvalue().splitlines()[0]) == (0, "модель".encode("ascii", "backslashreplace"))


def test_what_is_typed_in_a_terminal_of_ascii_is_utf8(tmp_path: Path) -> None:
    """It says that it has no other letters, and sends them all the same."""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ascii_only |= {"ASSAY_API": "http://127.0.0.1:9", "ASSAY_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "query_api.cli.main", "run", "модель"],
        env=os.environ | ascii_only,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.startswith("assay: no query API at http://127.0.0.1:9")) == (1, True)


def test_a_name_that_no_file_may_have_is_no_folder(tmp_path: Path) -> None:
    """It may be a model's on a hub, for all that is known here; of a model in a folder it is said."""
    assert not is_there("x" * 300) and not is_there("a\0b") and is_there(tmp_path)
    with pytest.raises(Invalid, match=r"^x{80}… is longer than a name of a file may be"):
        locate(ModelRef(uri="x" * 300))


class Paged(Client):
    """Answers of one row a page; without a board's name, of one that another follows."""

    def __init__(self, count: int) -> None:
        super().__init__(Settings())
        self.count, self.asked = count, list[dict[str, Any]]()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """A page."""
        self.asked.append(query)
        place = int(query.get("cursor") or 0)
        name = query.get("board") or f"board-{len(self.asked)}"
        return {"board": name, "rows": [f"{name}/{place}"], "next": f"{place + 1}" if place + 1 < self.count else None}


def test_all_pages_are_read() -> None:
    """With the filters of the first; of a board that of the first page, whichever changes meanwhile."""
    assert Paged(3).whole("/v1/list", "rows", board="b") == {"board": "b", "rows": ["b/0", "b/1", "b/2"], "next": None}
    one, several = Paged(1), Paged(2)
    assert (one.board(task="t")["rows"], one.asked) == (["board-1/0"], [{"task": "t"}])
    assert several.board()["rows"] == ["board-1/0", "board-1/1"]


def test_topics_complete_by_their_middle_part_and_whole() -> None:
    """As `assay tail` takes them."""
    assert topic_names("run-s") == ["run-scores"]
    assert topic_names("assay.run-s") == ["assay.run-scores.v1"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BUILD_LIMIT_S", "nan", "ASSAY_BUILD_LIMIT_S='nan' is no number; write it as 2.5"),
        ("BUILD_LIMIT_S", "inf", "ASSAY_BUILD_LIMIT_S='inf' is no number; write it as 2.5"),
        ("BUILD_LIMIT_S", "1e10", "ASSAY_BUILD_LIMIT_S='1e10' is more than 1,000,000,000"),
        ("BUILD_LIMIT_S", "0", "ASSAY_BUILD_LIMIT_S=0.0: it should be greater than 0; docs/settings.md tells of it"),
        ("API_RATE", "1_0", "ASSAY_API_RATE='1_0' is no whole number of at most 63 bits; write it as 25"),
        ("MODEL_CACHE_GB", "x", "ASSAY_MODEL_CACHE_GB='x' is no number; write it as 2.5"),
        ("API_DOOR", "ajar", "ASSAY_API_DOOR='ajar': it should be 'auto', 'open' or 'closed'; docs/settings.md tells of it"),
    ],
)
def test_a_setting_that_is_wrong_is_one_line(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its variable, before anything is asked; what is right is what it was."""
    monkeypatch.setenv(f"ASSAY_{name}", value)
    monkeypatch.setattr(sys, "argv", ["assay", "runs"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (1, f"assay: {says}\n")
    with pytest.raises(SystemExit, match=re.escape(says)):
        of_process()
    monkeypatch.setenv("ASSAY_BUILD_LIMIT_S", "2.5")
    monkeypatch.setenv(f"ASSAY_{name}", {"API_RATE": "25", "API_DOOR": "open"}.get(name, "2.5"))
    assert Settings().build_limit_s == 2.5


@pytest.mark.parametrize("folder", ["agents", "gpu_agent", "infra/embedded", "query_api", "examples", "benchmarks"])
def test_every_process_that_begins_says_so_too(folder: str) -> None:
    """None reads the settings in a way of its own, which ends in a traceback."""
    begin = [path for path in (ROOT / folder).rglob("*.py") if 'if __name__ == "__main__":' in path.read_text()]
    assert begin and not [path.name for path in begin if re.search(r"\bSettings\(\)", path.read_text())]
