"""The commands themselves: each has help with examples, the manual is theirs, and what is not understood is one line."""

import sys

import pytest

from query_api.cli.completing import topic_names
from query_api.cli.main import COMMANDS, GROUPS, main
from query_api.cli.manual import WRITTEN, commands_without_examples, manual


def test_every_command_has_examples() -> None:
    """In its help."""
    assert commands_without_examples() == []


def test_the_manual_is_what_the_commands_say() -> None:
    """And names each of them."""
    told = WRITTEN.read_text()
    assert told == manual()
    names = [command.__name__ for commands in COMMANDS.values() for command in commands]
    names += [f"{bare.__name__.replace('_', '-')} {name}" for groups in GROUPS.values() for bare, named in groups for name in named]
    assert [name for name in names if f"\n## assay {name}\n" not in told] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rnk",), "No such command 'rnk'. Did you mean 'rank'"),
        (("runs", "--limit", "x"), "Invalid value for '--limit'"),
        (("runs", "--limit", "0"), "Invalid value for '--limit'"),
        (("submit", "--taks", "x"), "No such option: --taks (Possible options: --task)"),
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


def test_topics_complete_by_their_middle_part_and_whole() -> None:
    """As `assay tail` takes them."""
    assert topic_names("run-s") == ["run-scores"]
    assert topic_names("assay.run-s") == ["assay.run-scores.v1"]
