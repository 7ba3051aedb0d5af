"""What a process writes of an error that one run made: where it was, and none of its words."""

from infra.logging import frames


def test_an_error_is_told_by_its_way_and_not_by_its_words() -> None:
    """The words may be a private run's prompt; its event has them, and is withheld."""

    def parse(prompt: str) -> int:
        return int(prompt)

    try:
        parse("the secret recipe")
    except ValueError as error:
        told = frames(error)
    assert told.startswith("ValueError by test_process_logs.py:")
    assert told.endswith(" parse")
    assert "secret" not in told
