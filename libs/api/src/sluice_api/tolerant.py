"""Objects that change one by one, some of them badly, into a snapshot that always compiles. Pure.

Each object is in force by its newest spec, else by the last one that was, else not at all; see `settle`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from sluice_api import endpoints, experiments
from sluice_api.compiling import clashes, misfits, references, same_names, snapshot_of
from sluice_api.errors import Problem
from sluice_api.loading import LoadedObject
from sluice_api.objects.base import SluiceObject
from sluice_api.snapshot import Snapshot


class Key(NamedTuple):
    """Which object."""

    kind: str
    namespace: str
    name: str


Name = tuple[str, str]
"""Kind and name, by which objects refer to one another."""


@dataclass(frozen=True, slots=True)
class Good:
    """A spec that is or was in force."""

    object: SluiceObject
    """Without a status."""
    generation: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Current:
    """An object as it stands."""

    status: Mapping[str, object]
    """As the operator wrote it; also of an object that does not parse."""
    generation: int
    created_at: str
    """RFC 3339 in UTC; of two that claim the same the older has it."""
    problems: tuple[Problem, ...] = ()
    object: SluiceObject | None = None
    """None where it does not parse; then `problems` say why."""


class State(StrEnum):
    """How an object is in the snapshot."""

    IN_FORCE = "Newest"
    """By its newest spec."""
    HELD = "Held"
    """By an earlier spec: the newest cannot be used."""
    KEPT = "Kept"
    """It is deleted, and others refer to it."""
    LEFT_OUT = "LeftOut"
    """Not: it cannot be used and never could."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of an object."""

    state: State
    generation: int = 0
    """Of the spec that is in force; 0 where none is."""
    problems: tuple[Problem, ...] = ()
    """Why the newest spec is not."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What is in force."""

    snapshot: Snapshot
    standings: Mapping[Key, Standing]
    """Of every object that there is, and of the deleted ones that are kept."""
    good: Mapping[Key, Good]
    """What is in force, by which the next change is judged."""


@dataclass(frozen=True, slots=True, eq=False)
class _Option:
    """A spec that an object may be in force by."""

    loaded: LoadedObject
    good: Good
    tried: bool
    """It is in force already, so it is not to blame for what is new."""
    refers: frozenset[Name]
    claims: frozenset[tuple[str, ...]]

    @classmethod
    def of(
        cls, key: Key, item: SluiceObject, status: Mapping[str, object], good: Good, *, tried: bool
    ) -> "_Option":
        fit = endpoints.fit(status)
        if tried:
            fit = experiments.fit(item, fit)
        own = item if item.status == fit else item.model_copy(update={"status": fit})
        return cls(
            loaded=LoadedObject(own, key.namespace, 0),
            good=good,
            tried=tried,
            refers=frozenset((kind.KIND, name) for _, kind, name in references(item)),
            claims=frozenset(
                [("name", item.kind, item.metadata.name), *(claim.key for claim in experiments.claims(item))]
            ),
        )


_Chosen = dict[Key, _Option]


def settle(current: Mapping[Key, Current], good: Mapping[Key, Good]) -> Settled:
    """Puts as much in force as fits together.

    - An object that does not parse, refers to what is not there, or clashes, is held at the spec that was last in
      force, or left out where none was. Others are touched only where they cannot be without it.
    - What is in force stays when a change of something else does not fit it: the change is held.
    - Of two that claim the same, the one that has it keeps it, else the older gets it.
    - What is deleted stays for as long as something in force refers to it.

    The result does not depend on the order of objects. With `good` from an earlier result, all that was in force and
    has not changed is in force again.

    Args:
        current: All objects that there are.
        good: What was last in force.
    """
    return _Settling(current, good).settled()


class _Settling:
    def __init__(self, current: Mapping[Key, Current], good: Mapping[Key, Good]) -> None:
        self._current = current
        self._options = {
            key: tuple(_options(key, each, good.get(key))) for key, each in sorted(current.items())
        }
        self._gone = {
            key: _Option.of(key, each.object, _LEAVING, each, tried=True)
            for key, each in sorted(good.items())
            if key not in current
        }
        self._chosen: _Chosen = {key: options[0] for key, options in self._options.items() if options}
        self._problems: dict[Key, list[Problem]] = defaultdict(list)
        for key, each in current.items():
            self._problems[key].extend(each.problems)

    def settled(self) -> Settled:
        while guilty := self._guilty(self._with_kept(self._chosen)):
            for key, problems in guilty.items():
                self._demote(key, problems)
        self._promote()
        everything = self._with_kept(self._chosen)
        return Settled(
            snapshot=snapshot_of([option.loaded for option in everything.values()]),
            standings={
                **{key: self._standing(key) for key in self._current},
                **{
                    key: Standing(State.KEPT, option.good.generation)
                    for key, option in everything.items()
                    if key in self._gone
                },
            },
            good={key: option.good for key, option in sorted(everything.items())},
        )

    def _standing(self, key: Key) -> Standing:
        option = self._chosen.get(key)
        problems = tuple(sorted(set(self._problems[key])))
        if option is None:
            return Standing(State.LEFT_OUT, problems=problems)
        newest = self._options[key][0]
        if option is newest and self._current[key].object is not None:
            return Standing(State.IN_FORCE, self._current[key].generation)
        return Standing(State.HELD, option.good.generation, problems)

    def _demote(self, key: Key, problems: Iterable[Problem]) -> None:
        self._problems[key].extend(problems)
        if key in self._gone:
            del self._gone[key]
            return
        options = self._options[key]
        rest = options[options.index(self._chosen.pop(key)) + 1 :]
        if rest:
            self._chosen[key] = rest[0]

    def _promote(self) -> None:
        """Gives those another try that were set back together with what was to blame."""
        tried = True
        while tried:
            tried = False
            names = {(key.kind, key.name) for key in (*self._chosen, *self._gone)}
            for key, options in self._options.items():
                at = options.index(self._chosen[key]) if key in self._chosen else len(options)
                for option in options[:at]:
                    if option.refers <= names and not self._guilty(self._around(key, option)):
                        self._chosen[key] = option
                        tried = True
                        break

    def _guilty(self, chosen: _Chosen) -> dict[Key, list[Problem]]:
        """Who is to be set back, and why; the plainest of what is wrong first."""
        ordered = [option.loaded for _, option in sorted(chosen.items(), key=_precedence)]
        new: dict[Name, list[Key]] = defaultdict(list)
        for key, option in chosen.items():
            if not option.tried:
                new[key.kind, key.name].append(key)
        for found in (same_names, misfits, clashes):
            guilty: dict[Key, list[Problem]] = defaultdict(list)
            for problem in found(ordered):
                for key in _blamed(_key_of(problem), chosen, new):
                    guilty[key].append(problem)
            if guilty:
                return guilty
        return {}

    def _around(self, key: Key, option: _Option) -> _Chosen:
        """All that may have a problem with an object's spec, and what that refers to."""
        world = self._with_kept({**self._chosen, key: option})
        name = (key.kind, key.name)
        picked = {
            other: each
            for other, each in world.items()
            if other == key or name in each.refers or not option.claims.isdisjoint(each.claims)
        }
        return {**picked, **_referred(picked, world)}

    def _with_kept(self, chosen: _Chosen) -> _Chosen:
        """Adds what is deleted and still referred to."""
        if not self._gone:
            return chosen
        there = {(key.kind, key.name) for key in chosen}
        gone = {key: option for key, option in self._gone.items() if (key.kind, key.name) not in there}
        return {**chosen, **_referred(chosen, gone)}


def _blamed(reporter: Key, chosen: _Chosen, new: Mapping[Name, Sequence[Key]]) -> Sequence[Key]:
    """What has been in force is not to blame for what does not fit it."""
    option = chosen[reporter]
    if not option.tried:
        return [reporter]
    return [key for name in sorted(option.refers) for key in new.get(name, ())] or [reporter]


def _referred(by: _Chosen, among: _Chosen) -> _Chosen:
    """What objects refer to, and what that refers to."""
    names: dict[Name, list[Key]] = defaultdict(list)
    for key in among:
        names[key.kind, key.name].append(key)
    found: _Chosen = {}
    waiting = list(by.values())
    while waiting:
        for name in waiting.pop().refers:
            for key in names.get(name, ()):
                if key not in found:
                    found[key] = among[key]
                    waiting.append(among[key])
    return found


def _precedence(entry: tuple[Key, _Option]) -> tuple[bool, str, Key]:
    key, option = entry
    return not option.tried, option.good.created_at, key


def _options(key: Key, current: Current, good: Good | None) -> Iterator[_Option]:
    if current.object is not None and (good is None or good.object.spec != current.object.spec):
        bare = current.object.model_copy(update={"status": {}})
        newest = Good(bare, current.generation, current.created_at)
        yield _Option.of(key, bare, current.status, newest, tried=False)
    elif current.object is not None and good is not None:
        same = replace(good, generation=current.generation, created_at=current.created_at)
        yield _Option.of(key, good.object, current.status, same, tried=True)
        return
    if good is not None:
        yield _Option.of(key, good.object, current.status, good, tried=True)


def _key_of(problem: Problem) -> Key:
    kind, _, name = problem.object.partition("/")
    return Key(kind, problem.file, name)


#: The status of what is deleted: its adapter serves nobody, its server has no replicas.
_LEAVING: Mapping[str, object] = {"conditions": [{"type": "Ready", "status": "False"}]}
