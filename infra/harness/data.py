"""Where a task's data come from: a folder of JSON Lines (an air-gapped mirror), or the hub; and what exactly was read.

The folder's layout is `<organisation>__<name>/<configuration or default>/<split>.jsonl[.gz]`.
"""

import functools
import gzip
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets

from infra.harness.definitions import FORMATS
from infra.harness.document_places import Lines
from infra.harness.limits import words
from infra.harness.rows import SHOWN, BadRow, Fractions, table, values
from infra.model_cards import licence
from infra.places import is_there, nameable
from streams.errors import Invalid
from streams.once import once

NO_DATA = "no-data"
SUFFIXES = (".jsonl", ".jsonl.gz")
MOST_DIGITS = 400  # any longer number is larger than a double
UTF_16, UTF_8 = (b"\xff\xfe", b"\xfe\xff"), b"\xef\xbb\xbf"


@dataclass(slots=True)
class Used:
    """What was read: file (or data set) → hash of its content; splits that were asked for and are not there, and those that are.

    Where `skips`, rows that cannot be used are left out; `skipped` tells them, by their split, and `examples`
    those that no few-shot example is made of. `fractions` says which rows are so for a fraction among whole numbers.
    `licence`: the data's, as their card, or the library, names it.
    """

    content: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    there: set[str] = field(default_factory=set)
    source: str = "generated"
    licence: str | None = None
    skips: bool = False
    skipped: dict[str, list[str]] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    fractions: Fractions = field(default_factory=Fractions)

    @property
    def lost(self) -> int:
        """How many rows are left out."""
        return sum(map(len, self.skipped.values())) + len(self.examples)

    @property
    def sha(self) -> str:
        """A name of all that was read."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()


class Splits(datasets.DatasetDict):  # type: ignore[misc]  # datasets is untyped here
    """A data set's splits. One that the folder lacks is empty: some tasks touch their training split and draw nothing from it.

    `lines`: the file that a split was read from, and the line of each of its rows.
    """

    def __init__(self, splits: dict[str, Any], used: Used, lines: Mapping[str, Lines] | None = None) -> None:
        super().__init__(splits)
        self._used = used
        self.lines = lines or {}

    def __missing__(self, split: str) -> Any:
        self._used.missing.add(split)
        return next(iter(self.values())).select([])

    def __getitem__(self, split: Any) -> Any:
        return super().__getitem__(split) if split in self.keys() else self.__missing__(split)


@contextmanager
def reading(root: Path | None, used: Used | None = None) -> Iterator[Used]:
    """While it lasts, `datasets.load_dataset` reads the folder `root` (the hub, where it is None), and what it reads is noted."""
    used, load, was_offline = used or Used(), datasets.load_dataset, os.environ.get("HF_HUB_OFFLINE")
    datasets.load_dataset = functools.partial(_from_folder, root, used, load) if root else functools.partial(_from_hub, used, load)
    if root:
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield used
    finally:
        datasets.load_dataset = load
        if root:
            os.environ.pop("HF_HUB_OFFLINE") if was_offline is None else os.environ.update(HF_HUB_OFFLINE=was_offline)


def note_generated(used: Used, splits: Mapping[str, Iterable[Any]]) -> None:
    """Notes the documents of a task that makes them itself; what is read from a data set was noted as it was read."""
    if not used.content:
        told = json.dumps({split: list(rows) for split, rows in splits.items()}, sort_keys=True, default=str)
        used.content["generated"] = hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Given:
    """Documents that are given, instead of read from a data set: each as JSON."""

    rows: tuple[str, ...]
    source: str


@contextmanager
def giving(given: Given) -> Iterator[Used]:
    """While it lasts, every data set has the given documents as its test split."""
    sha = hashlib.sha256("\n".join(given.rows).encode()).hexdigest()
    used, load = Used(content={"given": sha}, source=given.source), datasets.load_dataset
    rows, _ = table([(number, json.loads(row)) for number, row in enumerate(given.rows)], where=given.source)
    datasets.load_dataset = lambda *_args, **_named: Splits({"test": rows}, used)
    try:
        yield used
    finally:
        datasets.load_dataset = load


@contextmanager
def standing_in(document: dict[str, Any]) -> Iterator[None]:
    """While it lasts, every data set is this one document, in every split: enough to make a task again for scoring."""
    load = datasets.load_dataset
    only = datasets.Dataset.from_list([document])
    datasets.load_dataset = lambda *_args, **_named: _Everywhere(only)
    try:
        yield
    finally:
        datasets.load_dataset = load


class _Everywhere(dict[str, Any]):
    def __init__(self, only: Any) -> None:
        super().__init__()
        self._only = only

    def __missing__(self, _split: str) -> Any:
        return self._only


def _from_hub(used: Used, load: Any, path: str, name: str | None = None, *more: Any, **named: Any) -> Any:
    if path not in FORMATS and not Path(path).is_absolute() and is_there(path):  # the library would take it, and so would one nobody trusts
        raise Invalid(f"data set {path} is the name of a file where it is planned too; set ASSAY_DATASETS, or plan elsewhere", code=NO_DATA)
    if not path.strip():
        raise Invalid("dataset_path names no data set; give one", code=NO_DATA)
    try:
        loaded = load(path, name, *more, **named)
    except (OSError, ValueError, TypeError, datasets.exceptions.DatasetsError) as error:
        way = "look at its files" if path in FORMATS or Path(path).is_absolute() else "set ASSAY_DATASETS to a folder that holds it"
        why = error.__cause__ or error  # the library's own says that there was an error
        raise Invalid(f"data set {path} ({name or 'default'}) cannot be loaded: {words(why)}; {way}", code=NO_DATA) from error
    splits = loaded if isinstance(loaded, dict) else {str(named.get("split")): loaded}
    used.content |= {f"{path}/{name or 'default'}/{split}": str(rows._fingerprint) for split, rows in splits.items()}
    used.source = f"files:{path}" if path in FORMATS else f"hub:{path}"
    used.licence = next((told for rows in splits.values() if isinstance(told := getattr(rows.info, "license", None), str) and told), None)
    files = _files(named.get("data_files"))
    if used.skips and all(isinstance(rows, datasets.Dataset) for rows in splits.values()):
        for split, rows in splits.items():
            splits[split], lines = _without_fractions(rows, files.get(split, Lines(path)), split, used)
            files |= {split: lines} if split in files else {}
    if not isinstance(loaded, dict):
        return splits[str(named.get("split"))]
    vars(loaded)["lines"] = files
    return loaded


def _files(told: Any) -> dict[str, Lines]:
    """The one file that a split was read from, where a task names it."""
    each = told if isinstance(told, dict) else {"train": told}
    alone = {split: files[0] if isinstance(files, list | tuple) and len(files) == 1 else files for split, files in each.items()}
    return {split: Lines(file) for split, file in alone.items() if isinstance(file, str) and not set(file) & set("*?[")}


def _without_fractions(rows: Any, lines: Lines, split: str, used: Used) -> tuple[Any, Lines]:
    """Rows whose kinds their file says, or a library, without those that have a fraction where it is a bad row; and their lines."""
    bad = dict[int, str]()
    for name in [name for name, kind in rows.features.items() if str(getattr(kind, "dtype", "")).startswith("float")]:
        column = rows[name][:]
        fractions = {number: one for number, one in enumerate(column) if one is not None and not float(one).is_integer()}
        if 0 < len(fractions) + column.count(None) < len(column):
            used.fractions.mixed.add(name)
        if name in used.fractions.bad:
            told = "is a fraction, where other rows have whole numbers; write one"
            bad |= {number: f"{lines.place(number)}, field {name}: {one} {told}" for number, one in fractions.items()}
    fields = used.fractions.bad & rows.features.keys()
    if not fields:
        return rows, lines
    left = [number for number in range(len(rows)) if number not in bad]
    used.skipped.setdefault(split, []).extend(bad[number] for number in sorted(bad))
    rows = rows.select(left).flatten_indices()
    for name in sorted(fields):
        rows = rows.cast_column(name, datasets.Value("int64"))
    return rows, Lines(lines.file, [number + 1 for number in left], "row")


def _from_folder(root: Path, used: Used, load: Any, path: str, name: str | None = None, *more: Any, **named: Any) -> Any:
    if path in FORMATS or named.get("data_files") or Path(path).is_absolute():
        return _from_hub(used, load, path, name, *more, **named)
    root = Path(os.path.normpath(root))
    folder = Path(os.path.normpath(root / path.replace("/", "__") / (name or "default")))
    if not nameable(folder):
        raise Invalid(f"data set {path[:SHOWN]}… ({(name or 'default')[:SHOWN]}) has a name that no folder can have", code=NO_DATA)
    if not folder.is_relative_to(root):  # a request that nobody trusts may name anything
        raise Invalid(f"data set {path} ({name}) leads out of {root}; give a configuration's name", code=NO_DATA)
    files = {file.name.split(".")[0]: file for suffix in SUFFIXES for file in sorted(folder.glob(f"*{suffix}"))}
    if not files:
        raise Invalid(
            f"data set {path} ({name or 'default'}) is not in {root}: there is no {folder.relative_to(root)}/*.jsonl",
            code=NO_DATA,
        )
    wanted = named.get("split")
    read = {split: _rows(file, split, used) for split, file in files.items() if wanted is None or split == wanted}
    used.source, used.licence = f"folder:{path.replace('/', '__')}", licence(root / path.replace("/", "__"))
    used.there |= files.keys()
    lines = {split: Lines(_short(files[split]), numbers) for split, (_, numbers) in read.items()}
    found = Splits({split: rows for split, (rows, _) in read.items()}, used, lines)
    return found[wanted] if wanted else found


def _rows(file: Path, split: str, used: Used) -> tuple[Any, list[int]]:
    """A file's rows as a data set, and the line of each."""
    body = file.read_bytes()
    used.content[_short(file)] = hashlib.sha256(body).hexdigest()
    try:
        plain = gzip.decompress(body) if file.suffix == ".gz" else body
    except (OSError, EOFError) as error:
        raise Invalid(f"{file} is truncated or no gzip file ({error}); fetch it again", code="data-truncated") from error
    _check_form(plain, file)
    rows = [(number, _row(line, number, file, used)) for number, line in enumerate(plain.split(b"\n"), start=1) if line.strip()]
    if not rows:
        raise Invalid(f"{file} holds no rows; fetch it again", code="data-truncated")
    left_out = used.skipped.setdefault(split, []) if used.skips else None
    return table(rows, where=str(file), skipped=left_out, fractions=used.fractions)


def _check_form(plain: bytes, file: Path) -> None:
    """Raises: Invalid for a file that is no JSON Lines as a whole: no line of it could be read, and none is to blame."""
    if plain.startswith(UTF_16) or b"\0" in plain[:4]:
        raise Invalid(f"{file} is UTF-16 or UTF-32; save it as UTF-8", code="data-form")
    if plain.lstrip(UTF_8 + b" \r\n\t").startswith(b"[") and (kind := _whole(plain)) is not None:
        raise Invalid(
            f"{file} is {kind}, and a split is JSON Lines, an object on each line: jq -c '.[]' writes a list's so", code="data-form"
        )


def _whole(plain: bytes) -> str | None:
    """What a file is as one value of JSON, a list; None where it is none."""
    try:
        told = json.loads(plain.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return f"one list of {len(told):,}" if isinstance(told, list) and told and all(isinstance(one, dict) for one in told) else None


def _short(file: Path) -> str:
    return "/".join(file.parts[-3:])


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON; write null")


def _number(beyond: list[str], told: str) -> float:
    """The number that a text of JSON is; one that is larger than any here goes to `beyond`."""
    if math.isinf(value := float(told)):
        beyond.append(told)
    return value


def _whole_number(beyond: list[str], told: str) -> float:
    """The same of a whole number, which may have more digits than Python reads."""
    if len(told) <= MOST_DIGITS:
        return int(told)
    beyond.append(told)
    return math.inf


def _finite(row: Any, beyond: Sequence[str]) -> Any:
    if not beyond or not isinstance(row, dict):
        return row
    field = next(way for way, value in values(row) if isinstance(value, float) and math.isinf(value))
    return BadRow(f"{beyond[0][:SHOWN]} is larger than any number here (1.8e308); write it as a text, in quotes", field)


def _row(line: bytes, number: int, file: Path, used: Used) -> Any:
    beyond: list[str] = []
    try:
        text = line.decode("utf-8-sig")
        row = json.loads(
            text, object_pairs_hook=once, parse_constant=_no_constant, parse_float=functools.partial(_number, beyond),
            parse_int=functools.partial(_whole_number, beyond),
        )  # fmt: skip
    except UnicodeDecodeError as error:
        why = f"not UTF-8 (byte {error.start + 1} is {line[error.start]:#04x}); save the file as UTF-8"
        if used.skips:
            return BadRow(why)
        raise Invalid(f"{file}, line {number}: {why}", code="data-form") from error
    except ValueError as error:
        why = f"not JSON ({error}); mend it, or fetch the file again if it is truncated"
        if used.skips:
            return BadRow(why)
        raise Invalid(f"{file}, line {number}: {why}", code="data-truncated") from error
    except RecursionError as error:
        raise Invalid(f"{file}, line {number}: lists within lists, too deep to be read; write them flat", code="data-truncated") from error
    return _finite(row, beyond)
