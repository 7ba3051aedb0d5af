"""YAML whose parts know their lines: what is wrong in a file that people write is told with its place, and nothing in it is run."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final

import yaml

from streams.errors import Invalid

# Aliases make a small file large: what they lead to counts each time.
MOST_NODES: Final = 100_000
STR, MERGE, TIMESTAMP = (f"tag:yaml.org,2002:{name}" for name in ("str", "merge", "timestamp"))
KINDS: Final = ("str", "int", "float", "bool", "null", "seq", "map", "timestamp", "merge")
PLAIN: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in KINDS)
TAGGED: Final = "yaml"
SHOWN: Final = 80
FORMS: Final = ("timestamp", "int", "float")  # those of a form that a value may fail


def composed(text: str, *, code: str, file: str = "") -> Any:
    """The root of a YAML text; None where there is nothing in it. Raises: Invalid with that code, naming file, line and what to do."""
    try:
        root = _root(text, file)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = place(mark) if mark else f"{file}: " if file else ""
        told = getattr(error, "problem", None) or " ".join(str(error).split())
        raise Invalid(f"{where}not YAML: {told}", code=code) from error
    except RecursionError as error:
        raise Invalid("not YAML for us: lists within lists, too deep to be read; write them flat", code=code) from error
    if root is not None:
        _check_size(root, code=code)
        for node in nodes(root):
            _check_node(node, code=code)
    return root


def wrong(node: Any, told: str, *, code: str, below: int = 0) -> Invalid:
    """What is wrong with a part, or so many lines below its beginning, with its line."""
    return Invalid(f"{place(node.start_mark, below)}{told}", code=code)


def place(mark: Any, below: int = 0) -> str:
    """Where a mark is, as a refusal begins: its file, where it is known, and its line."""
    line = f"line {mark.line + below + 1}: "
    return f"{mark.name}, {line}" if mark.name else line


def meant(name: object, known: Iterable[str]) -> str:
    """The word that was probably meant, else all that there are."""
    words = sorted(known)
    close = difflib.get_close_matches(str(name), words, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(words)}"


def pairs(node: Any) -> dict[str, tuple[Any, Any]]:
    """The fields of a mapping: key → the nodes of key and value; of anything else none."""
    return {key.value: (key, value) for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def items(node: Any) -> list[Any]:
    """The parts of a list; anything else is one part."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def word(node: Any, *, code: str) -> str:
    """What a part that must be one word or text says. Raises: Invalid."""
    if not isinstance(node, yaml.ScalarNode):
        raise wrong(node, "a word must be here, not a list or a mapping", code=code)
    return str(node.value)


def value_of(node: Any) -> Any:
    """What a part says, as Python has it. Raises: Invalid where it, or a part of it, has a tag that makes more of it than values."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except yaml.constructor.ConstructorError as error:
        raise Invalid(f"{place(error.problem_mark or node.start_mark)}a plain value must be here: {error.problem}", code=TAGGED) from error
    finally:
        loader.dispose()


def plainly(root: Any, *, code: str) -> Any:
    """What a text says, in values that JSON has: a date is the text that was written. Raises: Invalid where a tag makes more of it."""
    for node in nodes(root):
        if node.tag not in PLAIN:
            raise wrong(node, f"{node.tag} is no plain value; leave it out", code=code)
        if node.tag == TIMESTAMP:
            node.tag = STR
    return value_of(root)


def nodes(root: Any) -> Iterator[Any]:
    """Every node once, though aliases may lead to it from many places."""
    left, seen = [root], set[int]()
    while left:
        node = left.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            left += _children(node)


def _root(text: str, file: str) -> Any:
    loader = yaml.SafeLoader(text)
    loader.name = file
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_size(root: Any, *, code: str) -> None:
    sizes: dict[int, int] = {}
    open_ = set[int]()
    left = [root]
    while left:
        node = left[-1]
        if id(node) in sizes:
            left.pop()
        elif id(node) in open_:
            open_.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in _children(node))
        else:
            open_.add(id(node))
            for child in _children(node):
                if id(child) in open_:
                    raise wrong(child, "an alias leads into itself; write it out", code=code)
                left.append(child)
    if sizes[id(root)] > MOST_NODES:
        raise wrong(root, f"{sizes[id(root)]:,} parts with all aliases written out; {MOST_NODES:,} are the most", code=code)


def _check_node(node: Any, *, code: str) -> None:
    if isinstance(node, yaml.MappingNode):
        _check_keys(node, code=code)
    elif isinstance(node, yaml.ScalarNode):
        if node.tag.rpartition(":")[2] in FORMS and node.tag in PLAIN:
            try:
                value_of(node)
            except (ValueError, OverflowError, IndexError) as error:
                raise wrong(node, f"{node.value[:SHOWN]!r} is no value: {error}; put a text in quotes", code=code) from error
        if any("\ud800" <= letter <= "\udfff" for letter in node.value):
            raise wrong(node, f"{node.value[:SHOWN]!a} holds half of a letter (a lone surrogate): leave it out", code=code)


def _check_keys(node: Any, *, code: str) -> None:
    first: dict[Any, Any] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise wrong(key, "a key must be a word, not a list or a mapping", code=code)
        if key.tag == TIMESTAMP:  # which JSON has not, and we write builds and requests in it
            raise wrong(key, f"{key.value[:SHOWN]!r} is a date, and a key must be a word: put it in quotes", code=code)
        names = (key.value, _named(key))
        if key.tag != MERGE and (known := next((first[name] for name in names if name in first), None)):
            told = repr(key.value) if known.value == key.value else f"{key.value!r}, which YAML reads as the same as {known.value!r},"
            line = known.start_mark.line + 1
            raise wrong(key, f"{told} is there twice, here and in line {line}; the first would be lost: keep one", code=code)
        first |= dict.fromkeys(names, key)


def _named(key: Any) -> Any:
    """What a mapping has a key by: yes and true are one, and so are 1 and 1.0. Its text, where it is no plain value."""
    if key.tag in (STR, MERGE) or key.tag not in PLAIN:
        return key.value
    try:
        return value_of(key)
    except (ValueError, OverflowError, IndexError):
        return key.value  # its own check says what is wrong with it
