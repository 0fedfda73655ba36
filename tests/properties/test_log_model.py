"""The protocol of publishing and deleting, explored to the end with many actors at once.

The steps below are those of the publisher and the collector, one for each thing that others could
notice; what they decide is decided by the real fold and the real retention policy. Every order of
steps is tried, and every reachable state is checked, so an actor that stops anywhere for ever is
covered as well. There is no grace: nothing but the log keeps this safe.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from index_store.artifacts import Artifact
from index_store.log_fold import fold, follows
from index_store.log_records import (
    CANDIDATE,
    PRODUCTION,
    Change,
    KeyChange,
    LogChange,
    LogRecord,
    LogState,
    PinChange,
    RecordKind,
)
from index_store.retention import FoundObject, Inventory, RetentionPolicy, plan_expiry

POLICY = RetentionPolicy(keep_last=1, grace_ms=0)
Log = tuple[Change, ...]
Objects = frozenset[str]


@dataclass(frozen=True)
class Actor:
    """Where an actor stands: its next step, the records it has read, and what it remembers."""

    kind: str
    number: int = 0
    step: str = "read"
    read: int = 0
    memory: tuple[str, ...] = ()

    def at(self, step: str, **changes: object) -> "Actor":
        return replace(self, step=step, **changes)


@dataclass(frozen=True)
class World:
    log: Log
    objects: Objects
    actors: tuple[Actor, ...]


Outcome = tuple[Log, Objects, Actor]


@cache
def state_of(log: Log) -> LogState:
    records = (
        LogRecord(seq=seq, id="", at_ms=seq, change=change) for seq, change in enumerate(log, 1)
    )
    return fold(LogState(), records)


def version(number: int) -> str:
    return f"{number:064x}"


def manifest(number: int) -> str:
    return f"c/versions/{version(number)}/manifest.json"


def file(name: str) -> str:
    return f"c/catalog/{name}"


# What each version consists of, besides its manifest; 4 and 5 are yet to be published, and use
# again what nobody but the oldest version refers to.
FILES = {1: "ad", 2: "ab", 3: "bc", 4: "cd", 5: "d"}


def publication(number: int, expected: str | None) -> LogChange:
    return LogChange(
        kind=RecordKind.PUBLISH,
        version=version(number),
        channel=CANDIDATE,
        expected=expected,
        manifest=Artifact(key=manifest(number), size_bytes=1, sha256=version(number)),
    )


def move(kind: RecordKind, target: str, state: LogState) -> LogChange:
    return LogChange(
        kind=kind, version=target, channel=PRODUCTION, expected=state.channels.get(PRODUCTION)
    )


def refers(number: int) -> set[str]:
    return {manifest(number), *map(file, FILES[number])}


def publisher_steps(world: World, actor: Actor, *, checks: bool = True) -> Iterator[Outcome]:
    """Read, upload what is missing, read again and check, write the manifest, append."""
    log, objects = world.log, world.objects
    state = state_of(log)
    match actor.step:
        case "read":
            expected = state.channels.get(CANDIDATE, "")
            yield log, objects, actor.at("upload", read=len(log), memory=(expected,))
        case "upload":
            needed = refers(actor.number) - {manifest(actor.number)}
            yield log, objects | needed, actor.at("look")
        case "look":
            present = refers(actor.number) - {manifest(actor.number)} <= objects
            yield log, objects, actor.at("manifest" if present else "end", read=len(log))
        case "manifest":
            yield log, objects | {manifest(actor.number)}, actor.at("append")
        case "append":
            seen = state_of(log[: actor.read])
            if checks and refers(actor.number) & seen.forbidden_keys:
                yield log, objects, actor.at("end")
            else:
                change = publication(actor.number, actor.memory[0])
                yield from appended(world, actor, change)


def appended(world: World, actor: Actor, change: Change, step: str = "end") -> Iterator[Outcome]:
    """Put-if-absent of the next record; a loser reads again and goes on if that is harmless."""
    if actor.read == len(world.log):
        if follows(state_of(world.log), change):
            yield (*world.log, change), world.objects, actor.at(step, read=len(world.log) + 1)
        else:
            yield world.log, world.objects, actor.at("end")
    else:
        goes_on = follows(state_of(world.log), change)
        yield (
            world.log,
            world.objects,
            actor.at(actor.step if goes_on else "end", read=len(world.log)),
        )


def mover_steps(world: World, actor: Actor) -> Iterator[Outcome]:
    """Read, then append what was decided on what was read."""
    state = state_of(world.log)
    if actor.step == "read":
        decided = actor.at("append", read=len(world.log), memory=decision(actor, state))
        yield world.log, world.objects, decided if decided.memory else actor.at("end")
        return
    target, expected = actor.memory
    change: Change = PinChange(kind=RecordKind.PIN, name="pin", version=target)
    if actor.kind != "pin":
        kind = RecordKind.PROMOTE if actor.kind == "promote" else RecordKind.ROLLBACK
        change = LogChange(kind=kind, version=target, channel=PRODUCTION, expected=expected or None)
    yield from appended(world, actor, change)


def decision(actor: Actor, state: LogState) -> tuple[str, ...]:
    production = state.channels.get(PRODUCTION, "")
    if actor.kind == "rollback":
        history = state.history.get(PRODUCTION, ())
        return (history[-1], production) if history else ()
    return (next(iter(state.versions)), production)


def inventory(log: Log, objects: Objects) -> Inventory:
    state = state_of(log)
    return Inventory(
        state=state,
        record_ms={seq: seq for seq in range(1, len(log) + 1)},
        references={known: dict.fromkeys(refers(int(known, 16)), 1) for known in state.versions},
        objects={key: FoundObject(key=key, size_bytes=1, modified_ms=0) for key in objects},
        now_ms=1000,
    )


def retirer_steps(world: World, actor: Actor) -> Iterator[Outcome]:
    """Read the log, list, append exactly after what was read or begin again."""
    log, objects = world.log, world.objects
    match actor.step:
        case "read":
            yield log, objects, actor.at("list", read=len(log))
        case "list":
            yield log, objects, actor.at("append", memory=tuple(sorted(objects)))
        case "append":
            if actor.read != len(log):
                yield log, objects, actor.at("read", memory=())
                return
            plan = plan_expiry(inventory(log, frozenset(actor.memory)), POLICY)
            change = KeyChange(
                kind=RecordKind.RETIRE,
                keys=tuple(found.key for found in plan.retire),
                versions=plan.versions,
            )
            yield (*log, change), objects, actor.at("end")


def purger_steps(world: World, actor: Actor) -> Iterator[Outcome]:
    """Read, append what is purged, then delete one object after the other."""
    log, objects = world.log, world.objects
    match actor.step:
        case "read":
            plan = plan_expiry(inventory(log, objects), POLICY)
            keys = tuple(sorted({*plan.purge, *(found.key for found in plan.delete)}))
            step = "append" if plan.purge else "delete"
            yield log, objects, actor.at(step if keys else "end", read=len(log), memory=keys)
        case "append":
            if actor.read != len(log):
                yield log, objects, actor.at("read", memory=())
                return
            due = tuple(key for key in actor.memory if key in state_of(log).retired)
            yield (*log, KeyChange(kind=RecordKind.PURGE, keys=due)), objects, actor.at("delete")
        case "delete":
            first, *rest = actor.memory
            left = actor.at("delete" if rest else "end", memory=tuple(rest))
            yield log, objects - {first}, left


Steps = Callable[[World, Actor], Iterator[Outcome]]
STEPS: dict[str, Steps] = {
    "publish": publisher_steps,
    "promote": mover_steps,
    "rollback": mover_steps,
    "pin": mover_steps,
    "retire": retirer_steps,
    "purge": purger_steps,
}


def start(*actors: Actor) -> World:
    """Three versions, production promoted to each; nothing is retired yet."""
    log: Log = ()
    objects: Objects = frozenset()
    for number in (1, 2, 3):
        log = (*log, publication(number, state_of(log).channels.get(CANDIDATE)))
        log = (*log, move(RecordKind.PROMOTE, version(number), state_of(log)))
        objects |= refers(number)
    return World(log=log, objects=objects, actors=actors)


def violations(world: World) -> list[str]:
    """What an open version refers to must be there, and must not be given up."""
    state = state_of(world.log)
    found = []
    for known in state.versions:
        needed = refers(int(known, 16))
        found += [f"{key} is missing" for key in needed - world.objects]
        found += [f"{key} is forbidden" for key in needed & state.forbidden_keys]
    return found


def explore(world: World, steps: dict[str, Steps]) -> tuple[int, list[str]]:
    """Visit every reachable state; return how many there are, and what is wrong in any."""
    seen = {world}
    waiting = [world]
    wrong: list[str] = []
    while waiting:
        current = waiting.pop()
        wrong += violations(current)
        for place, actor in enumerate(current.actors):
            if actor.step == "end":
                continue
            for log, objects, moved in steps[actor.kind](current, actor):
                actors = (*current.actors[:place], moved, *current.actors[place + 1 :])
                following = World(log=log, objects=objects, actors=actors)
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
    return len(seen), wrong


CASTS = [
    ("publish", "retire", "purge", "purge"),
    ("publish", "retire", "retire", "purge"),
    ("promote", "rollback", "pin", "retire", "purge"),
    ("publish", "promote", "rollback", "retire", "purge"),
    ("publish", "publish", "rollback", "retire", "purge"),
    pytest.param(
        ("publish", "promote", "rollback", "pin", "retire", "purge"), marks=pytest.mark.soak
    ),
]


def cast(names: tuple[str, ...]) -> tuple[Actor, ...]:
    """Actors of these kinds; publishers get a version each."""
    numbers = iter((4, 5))
    return tuple(
        Actor(kind=name, number=next(numbers) if name == "publish" else 0) for name in names
    )


@pytest.mark.parametrize("names", CASTS, ids="-".join)
def test_no_order_of_steps_breaks_an_open_version(names: tuple[str, ...]):
    states, wrong = explore(start(*cast(names)), STEPS)
    assert wrong == []
    assert states > 1000


def test_the_model_notices_a_publisher_that_does_not_check():
    def careless(world: World, actor: Actor) -> Iterator[Outcome]:
        return publisher_steps(world, actor, checks=False)

    names = ("publish", "retire", "purge")
    _, wrong = explore(start(*cast(names)), STEPS | {"publish": careless})
    assert f"{file('d')} is missing" in wrong


def test_the_model_notices_a_collector_that_deletes_on_what_it_read():
    def hasty(world: World, actor: Actor) -> Iterator[Outcome]:
        if actor.step != "append":
            yield from retirer_steps(world, actor)
            return
        plan = plan_expiry(inventory(world.log[: actor.read], frozenset(actor.memory)), POLICY)
        gone = {found.key for found in plan.retire}
        yield world.log, world.objects - gone, actor.at("end")

    names = ("publish", "retire")
    _, wrong = explore(start(*cast(names)), STEPS | {"retire": hasty})
    assert any("is missing" in each for each in wrong)
