"""The tasks that a definition stands for: itself, or a group's tasks, written in it or in files beside it, and lm-eval's by their names.

A task that is written in its group has both names, `group::task`, as in lm-eval. What a group says beside its own fields counts for each
of its tasks. Source: lm-eval 0.4.13, tasks/_factory.py and tasks/_index.py.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from infra.harness.catalogue import COSMETIC, Leaf, known_tasks
from infra.harness.defined_metrics import check_keys, generation_of, generation_remark, idle_keys, metric_of
from infra.harness.definition_files import CODE, Fields, Files, fields_of, included, modules_of, root_of
from infra.marked_yaml import items, meant, pairs, place, value_of, word, wrong
from streams.errors import Invalid

GROUP: Final = "group"
USUAL: Final = "generate_until"  # the output_type where a definition says none
STRUCTURE: Final = frozenset({GROUP, "group_alias", "task", "aggregate_metric_list", "metadata"})
FIGURE: Final = frozenset({"metric", "aggregation", "weight_by_size", "filter_list"})  # what a group says of one of its figures
DROPPED: Final = frozenset({"tag", "task_list"})
YAML: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Way:
    """The groups that lead to a task, from the outermost, and the YAMLs that these stand in."""

    groups: tuple[str, ...]
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class Member:
    """A task of the client's own: its fields, each with the file and line where it stands; `way` leads to it."""

    name: str
    fields: Fields
    root: Any  # what is wrong with the whole is told with its place
    way: Way


def members(files: Files) -> list[Member | Leaf]:
    """The tasks that the definition stands for, in order. Raises: Invalid, naming file and line."""
    return list(_members(files, whole=True))


def remarks(files: Files) -> list[str]:
    """What is said that counts for nothing, as in lm-eval: groups' metrics that none of their tasks has, arguments that no metric takes;
    and stop texts that end every answer at once. Raises: Invalid."""
    told = list[str]()
    for one in _members(files, whole=True, remarks=told):
        if not isinstance(one, Member):
            continue
        kind = one.fields["output_type"][1].value if "output_type" in one.fields else USUAL
        if "generation_kwargs" in one.fields and _generates(one) and (said := generation_remark(one.fields["generation_kwargs"][1])):
            told.append(said)
        if "metric_list" in one.fields and "process_results" not in one.fields:
            told += [
                f"{place(key.start_mark)}{key.value} counts for nothing with metric {metric} of {kind}, as in lm-eval: leave it out"
                for key, metric in idle_keys(one.fields["metric_list"][1], kind=kind)
            ]
    return list(dict.fromkeys(told))


def generations(files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tasks that generate, each with the arguments that its definition says. Raises: Invalid."""
    for one in _members(files, whole=True):
        if isinstance(one, Member) and "generation_kwargs" in one.fields and _generates(one):
            yield one.name, generation_of(one.fields["generation_kwargs"][1])


def _generates(one: Member) -> bool:
    return "output_type" not in one.fields or one.fields["output_type"][1].value == USUAL


def member(files: Files, name: str) -> Member:
    """The task of that name; the files of its group's other tasks need not be there. Raises: Invalid where the definition has none."""
    own = {one.name: one for one in _members(files, whole=False) if isinstance(one, Member)}
    if name not in own:
        raise Invalid(f"task {name!r} is asked for with a definition of {', '.join(own)}; give it that name", code=CODE)
    return own[name]


def name_of(files: Files) -> str:
    """What a definition is asked for by: the name of its task or group."""
    fields, _ = fields_of(files, files.main)
    return word(fields[GROUP][1], code=CODE) if GROUP in fields else _name(fields, root_of(files, files.main))


def weighs_by_size(files: Files) -> bool:
    """Whether the tasks of the definition's group count by their samples in its figure, else alike. Raises: Invalid."""
    return _by_size(fields_of(files, files.main)[0])


def names_of(some: Sequence[Member | Leaf]) -> frozenset[str]:
    """The names of tasks of the client's own, and of the groups that they are in."""
    return frozenset(name for one in some if isinstance(one, Member) for name in (one.name, *one.way.groups))


def only(files: Files, some: Sequence[Member | Leaf]) -> Files:
    """The files that these tasks need, and the definition itself."""
    own = [one for one in some if isinstance(one, Member)]
    paths = {path for one in own for path in one.way.paths | modules_of(files, one.fields)} | fields_of(files, files.main)[1]
    return Files(files.main, {path: files.texts[path] for path in sorted(paths)})


def _members(files: Files, *, whole: bool, remarks: list[str] | None = None) -> Iterator[Member | Leaf]:
    fields, paths = fields_of(files, files.main)
    if GROUP not in fields:
        root = root_of(files, files.main)
        yield _member(_name(fields, root), fields, root, Way((), paths))
        return
    group = _Group(files, *_beside(files), whole, [] if remarks is None else remarks)
    name, there = word(fields[GROUP][1], code=CODE), dict[str, Member | Leaf]()
    for one in group.members(name, fields, {}, Way((), paths)):
        if one.name == name:
            raise wrong(fields[GROUP][0], f"group {name!r} has a task of its own name: give one of them another", code=CODE)
        if (first := there.setdefault(one.name, one)) is one:
            yield one
        elif whole and (other := _other(first, one)):
            told = f"group {name}: task {one.name!r} is in it twice, with another {', '.join(other)}; only the first would count: keep one"
            raise wrong(fields["task"][0], told, code=CODE)


def _other(first: Member | Leaf, second: Member | Leaf) -> list[str]:
    """The fields in which two of one name differ: not said in the same place."""
    if isinstance(first, Leaf) or isinstance(second, Leaf):
        return [] if first == second else ["num_fewshot"]
    said = [{key: (node.start_mark.name, node.start_mark.index) for key, (_, node) in one.fields.items()} for one in (first, second)]
    return sorted({key for key, _ in said[0].items() ^ said[1].items()} - COSMETIC)


@dataclass(frozen=True, slots=True)
class _Group:
    """Takes groups apart. `there`: the tasks, groups and tags of the files beside the definition, each with its files.

    `twice`: those of them that several files define, tags aside. `faults`: what is wrong with files beside it. `whole`: all of a group's
    tasks must be there, else those that are not are passed over. `remarks`: where what counts for nothing is told.
    """

    files: Files
    there: Mapping[str, list[str]]
    twice: Mapping[str, list[str]]
    faults: Sequence[Invalid]
    whole: bool
    remarks: list[str]

    def members(self, name: str, fields: Fields, over: Fields, way: Way) -> Iterator[Member | Leaf]:
        """A group's tasks. `over`: what counts before the fields of each."""
        if "task" not in fields or not isinstance(fields["task"][1], yaml.SequenceNode) or not fields["task"][1].value:
            node = fields["task" if "task" in fields else GROUP][0]
            raise wrong(node, f"group {name}: task must list its tasks; a task alone is put under a heading by tag", code=CODE)
        if name in way.groups:
            raise wrong(fields["task"][0], f"group {name} is a part of itself: {' > '.join((*way.groups, name))}", code=CODE)
        _check_figures(fields)
        below = {key: pair for key, pair in fields.items() if key not in STRUCTURE} | over
        found = list[Member | Leaf]()
        for item in items(fields["task"][1]):
            try:
                found += self._item(item, below, Way((*way.groups, name), way.paths))
            except Invalid:
                if self.whole:
                    raise
        if self.whole:
            self.remarks.extend(_unknown_metrics(name, fields, found))
        yield from found

    def _item(self, item: Any, over: Fields, way: Way) -> Iterator[Member | Leaf]:
        own, group = pairs(item), way.groups[-1]
        if not own:
            yield from self._named(word(item, code=CODE), item, over, way)
        elif GROUP in own:
            name = word(own[GROUP][1], code=CODE)
            if name in self.there:
                yield from self._named(name, item, over | own, way)
            else:
                yield from self.members(f"{group}::{name}", own, over, way)
        elif "task" in own:
            told, paths = included(self.files, own, item.start_mark.name)
            yield from self._named(word(own["task"][1], code=CODE), item, over | told, Way(way.groups, way.paths | paths))
        else:
            raise wrong(item, f"each task of group {group} is a name, or a mapping with task or group", code=CODE)

    def _named(self, name: str, item: Any, over: Fields, way: Way) -> Iterator[Member | Leaf]:
        if name in self.twice:
            told = (
                f"{name!r} is defined in {' and in '.join(self.twice[name])}: give one of them another name, or take it out of the folder"
            )
            raise wrong(item, told, code=CODE)
        if name in self.there:
            for path in self.there[name]:
                yield from self._in_file(path, {key: pair for key, pair in over.items() if key not in (GROUP, "task")}, way)
        elif name in known_tasks():
            yield _leaf(name, over, item)
        elif pairs(item):
            yield _member(f"{way.groups[-1]}::{name}", over, item, way)
        else:
            unknown = wrong(item, f"group {way.groups[-1]}: there is no task {name!r}; {_near(name, self.there)}", code=CODE)
            raise next(iter(self.faults), unknown)

    def _in_file(self, path: str, over: Fields, way: Way) -> Iterator[Member | Leaf]:
        fields, paths = fields_of(self.files, path)
        root, there = root_of(self.files, path), way.paths | paths
        if GROUP in fields:
            below = {key: pair for key, pair in over.items() if key not in STRUCTURE}
            yield from self.members(word(fields[GROUP][1], code=CODE), fields, below, Way(way.groups, there))
        else:
            yield _member(_name(fields, root), fields | over, root, Way(way.groups, there))


def _member(name: str, fields: Fields, root: Any, way: Way) -> Member:
    return Member(name, {key: pair for key, pair in fields.items() if key not in DROPPED}, root, way)


def _leaf(name: str, over: Fields, item: Any) -> Leaf:
    """A task of lm-eval's with the examples that the group wants of it. Raises: Invalid where more of it is changed."""
    if changed := sorted(set(over) - COSMETIC - {"num_fewshot"} - DROPPED):
        told = (
            f"{', '.join(changed)} of lm-eval's task {name!r}: that would be another task by its name; write it out under a name of yours"
        )
        raise wrong(over[changed[0]][0] if changed else item, f"the group changes {told}", code=CODE)
    shots = value_of(over["num_fewshot"][1]) if "num_fewshot" in over else None
    return Leaf(name, shots if isinstance(shots, int) else None)


def _name(fields: Fields, root: Any) -> str:
    if "task" not in fields:
        raise wrong(root, "task must be there: the name that the task has", code=CODE)
    return word(fields["task"][1], code=CODE)


def _beside(files: Files) -> tuple[dict[str, list[str]], dict[str, list[str]], list[Invalid]]:
    """The tasks and groups of the files beside the definition, and tags with their tasks, each name with its files; those of which there
    are several; and what is wrong with files that cannot be read as such."""
    named: dict[str, list[str]] = {}
    tags: dict[str, list[str]] = {}
    faults = list[Invalid]()
    for path in sorted(one for one in files.texts if one.endswith(YAML) and one != files.main):
        try:
            fields, _ = fields_of(files, path)
        except Invalid as fault:
            faults.append(fault)
            continue
        if (key := GROUP if GROUP in fields else "task") in fields:
            named.setdefault(word(fields[key][1], code=CODE), []).append(path)
        for tag in items(fields["tag"][1]) if "tag" in fields and GROUP not in fields else ():
            tags.setdefault(word(tag, code=CODE), []).append(path)
    return tags | named, {name: paths for name, paths in named.items() if len(paths) > 1}, faults


def _check_figures(fields: Fields) -> None:
    """Raises: Invalid for figures of a group that are not ours: a group's figure is a mean, each sample or each task counted alike."""
    if "aggregate_metric_list" not in fields:
        return
    for one in items(fields["aggregate_metric_list"][1]):
        told = pairs(one)
        check_keys(told, FIGURE, what="aggregate_metric_list")
        if "aggregation" in told and told["aggregation"][1].value != "mean":
            node = told["aggregation"][1]
            raise wrong(node, f"aggregation {node.value!r} of a group is not supported: write mean, or name its tasks alone", code=CODE)
        if "weight_by_size" in told and not isinstance(value_of(told["weight_by_size"][1]), bool):
            raise wrong(told["weight_by_size"][1], "weight_by_size must be true (samples count alike) or false (tasks do)", code=CODE)
    _by_size(fields)


def _by_size(fields: Fields) -> bool:
    """Raises: Invalid where the group's figures differ in it."""
    told = dict[bool, Any]()
    for one in items(fields["aggregate_metric_list"][1]) if "aggregate_metric_list" in fields else ():
        own = pairs(one)
        told[bool(value_of(own["weight_by_size"][1])) if "weight_by_size" in own else True] = one
    if len(told) > 1:
        raise wrong(told[False], "weight_by_size must be the same for all figures of a group: its tasks have one main metric", code=CODE)
    return False not in told


def _unknown_metrics(group: str, fields: Fields, found: Sequence[Member | Leaf]) -> Iterator[str]:
    """Metrics of a group's figures that none of its tasks names; of lm-eval's own tasks that is not known here."""
    own = [one.fields.get("metric_list") for one in found if isinstance(one, Member)]
    if "aggregate_metric_list" not in fields or len(own) < len(found) or not all(own):
        return
    there = sorted({metric_of(pairs(one)["metric"][1]) for told in own if told for one in items(told[1]) if "metric" in pairs(one)})
    for one in items(fields["aggregate_metric_list"][1]):
        if (node := pairs(one).get("metric")) and (name := metric_of(node[1])) not in there:
            where = place(node[1].start_mark)
            yield f"{where}no task of group {group} has metric {name!r}, which is left out as in lm-eval; {meant(name, there)}"


def _near(name: str, there: Mapping[str, list[str]]) -> str:
    close = difflib.get_close_matches(name, [*there, *known_tasks()], n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else "write it here, or in a file beside this one"
