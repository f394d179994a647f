"""Read a policy file and the files that it extends, and lay one over the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from balancer.errors import Fault, PolicyError
from balancer.formats.lines import Lines
from balancer.formats.reading import data_of, text_of
from balancer.formats.sourced import Document, Join, Sourced, laid_over
from balancer.policy.dial import DIAL, sets
from balancer.policy.document import PolicyDocument
from balancer.policy.ready import did_you_mean, ready_policy

MOST_BYTES = 2**20  # nobody reviews more policy than that
MOST_NODES = 200_000
MOST_FILES = 20


@dataclass(frozen=True)
class Chain:
    """A policy and everything that it extends, as one; and the texts that were read."""

    source: Sourced
    texts: dict[Path, str]
    remarks: tuple[str, ...] = ()


def read_chain(path: Path, tried: str | None = None, known: Collection[Path] = ()) -> Chain:
    """Read a policy file and, from the bottom, what it is laid over. PolicyError names the file that says `extends`.

    tried: what the file would say; then nothing but ready policies and the files that are `known` is extended
    """
    files = [_read(path, tried)]
    while (below := _extended(files, None if tried is None else known)) is not None:
        files.append(below)
    source, remarks = files[-1].source, list[str]()
    for file in reversed(files[:-1]):
        remarks += _needless_removals(source, file.source)
        source = _over(_dial_aside(source, file.source).without("name"), file.source)
    if len(files) > 1 and "name" not in files[0].source.block():
        # A base's name would say that the base is in force.
        source = source.with_parts(name=Sourced(path.stem, files[0].source.document, ("extends",)))
    return Chain(source, {file.path: file.text for file in files}, tuple(remarks))


def _dial_aside(under: Sourced, over: Sourced) -> Sourced:
    """A file that turns the dial means it: what other files wrote where the dial sets a value counts no more."""
    dial = over.inside("aggressiveness")
    level = dial.plain if dial is not None and dial.plain in range(1, 6) else None
    for path in DIAL:
        if sets(level, path):
            under = _lacking(under, path.split("."), over.document)
    return under


def _lacking(block: Sourced, path: list[str], unless_in: Document) -> Sourced:
    inside = block.inside(path[0])
    if inside is None:
        return block
    if path[1:]:
        return block.with_parts(**{path[0]: _lacking(inside, path[1:], unless_in)})
    return block if inside.document is unless_in else block.without(path[0])


def for_cluster(source: Sourced, cluster: str | None) -> Sourced:
    """Return a policy with what it says for one cluster laid over the rest."""
    clusters = source.block().get("clusters")
    override = clusters.inside(cluster) if clusters is not None and cluster is not None else None
    common = source.without("clusters", "extends", "remove")
    return common if override is None else _over(_dial_aside(common, override), override).without("remove")


@dataclass(frozen=True)
class _File:
    path: Path
    text: str
    source: Sourced


def _read(path: Path, tried: str | None = None) -> _File:
    text = text_of(path, PolicyError, MOST_BYTES) if tried is None else tried
    name = f"ready policy {path.stem}" if ready_policy(path.stem) == path else str(path)
    data = data_of(text, PolicyDocument, name, PolicyError, MOST_NODES)
    return _File(path, text, Sourced.of(data, Document(name, Lines(text))))


def _extended(files: list[_File], known: Collection[Path] | None = None) -> _File | None:
    """Read what the last file extends; None where it extends nothing. known: the only ones that may be, but ready ones.

    Whoever tries a policy out from afar would otherwise read any file of this machine by the faults in it.
    """
    last = files[-1]
    said = last.source.inside("extends")
    if said is None or not isinstance(said.value, str):
        return None  # what is no text is told together with all other faults
    path = _path_of(said, last.path)
    if (
        known is not None
        and ready_policy(path.stem) != path
        and path.resolve() not in {each.resolve() for each in known}
    ):
        fault = Fault(
            said.place, f"`extends` names {said.value!r}, which the policy in force does not", "leave it as it is"
        )
        raise PolicyError([fault])
    if path.resolve() in [file.path.resolve() for file in files]:
        circle = " -> ".join(str(file.path) for file in files)
        raise PolicyError(
            [Fault(said.place, f"`extends` goes in a circle: {circle} -> {path}", "take one of them out")]
        )
    if len(files) == MOST_FILES:
        raise PolicyError([Fault(said.place, f"`extends` goes through more than {MOST_FILES} files", "join some")])
    if not path.exists():
        raise PolicyError([Fault(said.place, f"`extends` names {path}, and there is no such file", _which(said.value))])
    return _read(path)


def _path_of(said: Sourced, beside: Path) -> Path:
    name = str(said.value)
    if "/" in name or name.endswith((".yaml", ".yml", ".json")):
        return beside.parent / name
    ready = ready_policy(name)
    if ready is None:
        fault = Fault(said.place, f"`extends` names {name!r}, which is no ready policy", did_you_mean(name))
        raise PolicyError([fault])
    return ready


def _which(said: str) -> str:
    return "the path is relative to this file" if not said.startswith("/") else ""


def _over(under: Sourced, over: Sourced) -> Sourced:
    """Lay a policy over another: blocks are joined, lists replaced; constraints and schedules are joined as lists."""
    removed = {part.plain for part in _items(over, "remove") if isinstance(part.plain, str)}
    constraints = under.inside("constraints")
    if removed and constraints is not None:
        kept = [each for each in constraints.items() if _name(each) not in removed]
        under = under.with_parts(constraints=Sourced(kept, constraints.document, constraints.path))
    joins: dict[str, Join] = {"constraints": _joined_by_name, "schedule": _one_after_the_other, "clusters": _clusters}
    return laid_over(under, over, joins)


def _joined_by_name(under: Sourced, over: Sourced) -> Sourced:
    if not isinstance(over.value, list):
        return over
    named = {_name(each): each for each in over.items() if _name(each) is not None}
    inherited = {_name(each) for each in under.items()}
    kept = [named.get(_name(each), each) for each in under.items()]
    added = [each for each in over.items() if _name(each) is None or _name(each) not in inherited]
    return Sourced([*kept, *added], over.document, over.path)


def _one_after_the_other(under: Sourced, over: Sourced) -> Sourced:
    return Sourced([*under.items(), *over.items()], over.document, over.path) if isinstance(over.value, list) else over


def _clusters(under: Sourced, over: Sourced) -> Sourced:
    if not isinstance(over.value, dict):
        return over
    joined = {
        **under.block(),
        **{
            name: _over(below, part) if (below := under.inside(name)) is not None else part
            for name, part in over.block().items()
        },
    }
    return Sourced(joined, over.document, over.path)


def _needless_removals(under: Sourced, over: Sourced) -> Iterable[str]:
    known = {_name(each) for each in _items(under, "constraints")}
    for part in _items(over, "remove"):
        if part.plain not in known:
            yield f"{part.place}: `remove` names {part.plain}, and no constraint that is inherited bears that name"


def _items(source: Sourced, key: str) -> list[Sourced]:
    part = source.inside(key)
    return part.items() if part is not None else []


def _name(constraint: Sourced) -> str | None:
    name = constraint.inside("name")
    return name.value if name is not None and isinstance(name.value, str) else None
