"""Texts in files that people name: UTF-8, of a bounded size. What cannot be read is told with its file and line, and what to do."""

from collections.abc import Generator
from pathlib import Path
from typing import Final

from streams.errors import Invalid

MIB: Final = 2**20
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
BEGINNING: Final = b"\xef\xbb\xbf"  # with which some editors mark UTF-8
NO_FILE, FORM, TOO_LARGE = "no-file", "file-form", "file-too-large"


def text_of(path: str | Path, *, most_bytes: int = 64 * MIB) -> str:
    """A file's text, without a mark at its beginning, its lines ended by \\n alone. Raises: Invalid."""
    return decoded(bytes_of(path, most_bytes=most_bytes), path).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def bytes_of(path: str | Path, *, most_bytes: int) -> bytes:
    """A file's bytes. Raises: Invalid."""
    try:
        with Path(path).open("rb") as file:
            body = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        raise unread(path, error) from error
    if len(body) > most_bytes:
        raise _too_large(f"{path} has", most_bytes)
    return body


def lines_of(path: str | Path, *, most_bytes: int = MIB) -> Generator[str]:
    """A file's lines, each with its \\n, read as they are asked for; `most_bytes`: of each. Raises: Invalid."""
    try:
        with Path(path).open("rb") as file:
            number, line = 1, file.readline(most_bytes + 1).removeprefix(BEGINNING)
            while line:
                if len(line) > most_bytes:
                    raise _too_large(f"{path}, line {number}: it has", most_bytes)
                yield decoded(line, path, line=number).replace("\r\n", "\n")
                number, line = number + 1, file.readline(most_bytes + 1)
    except (OSError, ValueError) as error:
        raise unread(path, error) from error


def decoded(body: bytes, path: object, *, line: int = 1) -> str:
    """The text of a file's bytes, which begin in that line. Raises: Invalid, naming file and line."""
    if body.startswith(UTF_16):
        raise Invalid(f"{path}, line {line}: it is UTF-16; save the file as UTF-8", code=FORM)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        number, at = line + body.count(b"\n", 0, error.start), error.start - body.rfind(b"\n", 0, error.start)
        told = f"it is not UTF-8 (byte {at} of the line is {body[error.start]:#04x})"
        raise Invalid(f"{path}, line {number}: {told}; save the file as UTF-8", code=FORM) from error


def unread(path: object, error: OSError | ValueError) -> Invalid:
    """Why a file is not read: it is not there, or what the machine says of it."""
    if isinstance(error, FileNotFoundError):
        return Invalid(f"there is no file {path}", code=NO_FILE)
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Invalid(f"{path} cannot be read: {told}", code=NO_FILE)


def _too_large(told: str, most_bytes: int) -> Invalid:
    return Invalid(f"{told} more than {most_bytes / MIB:,.0f} MiB, which are the most; is it the file that is meant?", code=TOO_LARGE)
