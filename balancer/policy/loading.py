"""Policies come in through here: a file, the files that it extends, and what it says for one cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from balancer.errors import Fault, PolicyError
from balancer.formats.reading import by_line, value_of
from balancer.formats.sourced import Sourced
from balancer.policy.chain import Chain, for_cluster, read_chain
from balancer.policy.document import PolicyDocument
from balancer.policy.model import Policy
from balancer.policy.ready import did_you_mean, ready_policy

DEFAULT_POLICY = Policy()


@dataclass(frozen=True)
class Loaded:
    """A policy, where each of its values was written, and the files that it came from."""

    policy: Policy
    source: Sourced | None = None  # None: the default policy, which nobody wrote
    files: Mapping[Path, str] | None = None  # digest of what was read
    remarks: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()  # that the file says something of their own for


def load_policy(path: Path | None, cluster: str | None = None) -> Policy:
    """Read a policy file; without one the default policy, which recommends and does not act, is in force.

    `path` may also be the name of a ready policy, such as `balanced`. With a cluster, what the file says for it under
    `clusters` holds. Raises PolicyError with every fault found: file, line, what is wrong, what to write instead.
    """
    return load(path, cluster).policy


def load(path: Path | None, cluster: str | None = None) -> Loaded:
    """Read a policy file like `load_policy`, and remember where everything was written."""
    if path is None:
        return Loaded(DEFAULT_POLICY)
    return _loaded(read_chain(_found(path)), path, cluster)


def load_as_if(text: str, in_force: Loaded, path: Path, cluster: str | None = None) -> Loaded:
    """Read a policy as if its file said this, without writing anything."""
    return _loaded(read_chain(path, text, in_force.files or {}), path, cluster)


def _loaded(chain: Chain, path: Path, cluster: str | None) -> Loaded:
    _refuse_faults(chain)
    source = for_cluster(chain.source, cluster)
    policy = value_of(source.plain, Policy, str(path), source.place_of, PolicyError)
    texts = {file: digest(text) for file, text in chain.texts.items()}
    return Loaded(policy, source, texts, chain.remarks, _clusters_of(chain.source))


def _clusters_of(source: Sourced) -> tuple[str, ...]:
    clusters = source.inside("clusters")
    return tuple(map(str, clusters.block())) if clusters is not None else ()


def digest(text: str) -> str:
    """Return a digest of what a file says."""
    return hashlib.sha256(text.encode()).hexdigest()


def _found(path: Path) -> Path:
    """Take the name of a ready policy where there is no such file."""
    if path.exists() or path.name != str(path) or path.suffix:
        return path
    ready = ready_policy(path.name)
    if ready is None:
        raise PolicyError([Fault(path.name, "is neither a file nor a ready policy", did_you_mean(path.name))])
    return ready


def _refuse_faults(chain: Chain) -> None:
    """Look at the whole file and at what it says for each cluster, so that all faults are told at once."""
    faults = dict.fromkeys(_faults_in(chain.source, PolicyDocument))
    for cluster in () if faults else _clusters_of(chain.source):
        faults |= dict.fromkeys(_faults_in(for_cluster(chain.source, cluster), Policy))
    if faults:
        raise PolicyError(sorted(faults, key=by_line))


def _faults_in(source: Sourced, kind: type[Policy]) -> list[Fault]:
    try:
        value_of(source.plain, kind, source.document.name, source.place_of, PolicyError)
    except PolicyError as wrong:
        return wrong.faults
    return []
