"""The file of records that the broker has not taken yet: in order, whole, and each until it is sent."""

import os
from pathlib import Path

import pytest

from gpu_agent.unsent import Unsent, unsent_in
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
    whole.path.write_bytes(told[:end] + bytes([told[end] ^ 1]) + told[end + 1 :])
    assert Unsent(whole.path).count == 2


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
