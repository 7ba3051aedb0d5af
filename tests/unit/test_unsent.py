"""The file of records that the broker has not taken yet: in order, whole, and each until it is sent."""

import os
from pathlib import Path

import pytest

from gpu_agent.unsent import Unsent, _framed, unsent_in
from infra.kafka import Outgoing


def records(*numbers: int) -> list[Outgoing]:
    """Records that tell their numbers."""
    return [Outgoing("assay.resources.v1", b"%d" % number * 10, b"key") for number in numbers]


def test_what_is_appended_is_read_in_order_until_it_is_sent(tmp_path: Path) -> None:
    """What was not said to be sent comes again; where all is sent nothing is left."""
    unsent = Unsent(tmp_path / "a")
    unsent.append(records(1, 2, 3))
    assert unsent.following(most=2) == unsent.following(most=2) == records(1, 2)
    unsent.sent(2)
    unsent.append(records(4))
    assert (unsent.count, unsent.following(most=9)) == (2, records(3, 4))
    unsent.sent(2)
    assert (unsent.count, unsent.following(most=9), unsent.path.stat().st_size) == (0, [], 0)
    unsent.close()
    assert list(tmp_path.iterdir()) == []


def test_who_starts_next_has_what_was_left_without_what_was_cut_off(tmp_path: Path) -> None:
    """A process died as it appended its third record: at every byte of it, the two before are there."""
    whole = Unsent(tmp_path / "of-the-dead")
    whole.append(records(1, 2))
    end = whole.path.stat().st_size
    whole.append(records(3))
    told = whole.path.read_bytes()
    os.close(whole._file)
    for cut in range(end, len(told)):
        whole.path.write_bytes(told[:cut])
        again = unsent_in(tmp_path)
        assert again.following(most=9) == records(1, 2)
        again.sent(2)
        again.close()


@pytest.mark.parametrize("at", [0, 4, 5, 7, 8, 11, 12, 20, 40, 42])
def test_a_byte_that_changed_costs_one_record_and_is_said(tmp_path: Path, at: int) -> None:
    """Wherever in it, its lengths too: the next is found by its sum."""
    left = Unsent(tmp_path / "left")
    left.append(records(*range(1000)))
    os.close(left._file)
    told = bytearray(left.path.read_bytes())
    size = len(_framed(records(0)[0]))
    told[size + at] ^= 1
    left.path.write_bytes(told)
    again = Unsent(left.path)
    assert (again.count, again.lost_bytes) == (999, len(_framed(records(1)[0])))
    own = Unsent(tmp_path / "own")
    own.take_over(again)
    assert own.following(most=1000) == records(0, *range(2, 1000))


def test_a_file_that_is_no_records_at_all_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And said, with how much it was."""
    (tmp_path / "left").write_bytes(bytes(3000) + b"\xff" * 3000)
    own = unsent_in(tmp_path)
    assert (own.count, list(tmp_path.iterdir())) == (0, [own.path])
    assert "left out" in (said := capsys.readouterr().out) and "bytes=6000" in said


def test_a_file_that_cannot_be_read_is_left_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent starts all the same, and whichever starts when the disk is well again sends it."""
    left = Unsent(tmp_path / "left")
    left.append(records(1))
    os.close(left._file)

    def broken(_file: int, _length: int, _at: int) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", broken)
        assert unsent_in(tmp_path).count == 0
    assert "Input/output error" in capsys.readouterr().out
    assert unsent_in(tmp_path).following(most=9) == records(1)


def test_what_several_left_is_taken_over_the_oldest_first_and_of_the_living_nothing(tmp_path: Path) -> None:
    """A lock says who lives."""
    for number in (2, 1):
        left = Unsent(tmp_path / f"{number}")
        left.append(records(number))
        os.utime(left.path, (number, number))
        os.close(left._file)
    living = Unsent(tmp_path / "3")
    living.append(records(3))
    own = unsent_in(tmp_path)
    assert own.following(most=9) == records(1, 2)
    assert sorted(tmp_path.iterdir()) == sorted([own.path, living.path])
    with pytest.raises(BlockingIOError):
        Unsent(living.path)


def test_a_disk_that_takes_nothing_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever appends is told, and has what it has in memory still."""
    unsent = Unsent(tmp_path / "a")
    unsent.append(records(1))

    def full(_file: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        unsent.append(records(2))
    assert (unsent.count, unsent.following(most=9)) == (1, records(1))
