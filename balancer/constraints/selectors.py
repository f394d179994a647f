"""How a promise says whom it is about: guests and hosts by name, by pattern or by label."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from glob import escape
from typing import Self

from pydantic import Field, model_validator

from balancer.domain.cluster import Cluster
from balancer.domain.value import Name, Value


class OfVms(Value):
    """Guests, by name, by pattern or by label."""

    vms: tuple[Name, ...] | None = Field(
        default=None,
        description="guests by name; `*` and `?` stand for any letters, as in `db-*`",
        examples=[["db1", "db-*"]],
    )
    match: dict[str, str] | None = Field(
        default=None, description="guests that bear all these labels", examples=[{"app": "shop", "tier": "db"}]
    )

    @model_validator(mode="after")
    def _says_which_guests(self) -> Self:
        if self.vms is None and self.match is None:
            raise ValueError("names no guests; write `vms: [...]` or `match: {...}`")
        if self.vms is not None and self.match is not None:
            raise ValueError("names its guests by `vms` and by `match`; keep one of them")
        return self

    def guests(self, cluster: Cluster) -> tuple[str, ...]:
        """Return the names of the guests that it is about and that the cluster has."""
        if self.match is not None:
            return cluster.vms_labelled(self.match)
        return named(self.vms or (), cluster.vm_names)

    def said_guests(self) -> str:
        return said(self.vms, self.match)

    def guest_remarks(self, cluster: Cluster) -> list[str]:
        """Name selectors that match nothing and guests that do not exist."""
        if self.match is not None and not self.guests(cluster):
            return [f"no guest bears {said(None, self.match)}"]
        return _unmatched("guest", self.vms or (), cluster.vm_names)


class OnSomeHosts(Value):
    """Hosts by name, by pattern or by label; all hosts where nothing is said."""

    hosts: tuple[Name, ...] | None = Field(
        default=None,
        description="hosts by name; `*` and `?` stand for any letters, as in `hv1*`",
        examples=[["h7", "hv1*"]],
    )
    hosts_match: dict[str, str] | None = Field(
        default=None, description="hosts that bear all these labels", examples=[{"rack": "r1"}]
    )

    @model_validator(mode="after")
    def _says_hosts_once(self) -> Self:
        if self.hosts is not None and self.hosts_match is not None:
            raise ValueError("names its hosts by `hosts` and by `hosts_match`; keep one of them")
        return self

    @property
    def means_all_hosts(self) -> bool:
        return self.hosts is None and self.hosts_match is None

    def chosen_hosts(self, cluster: Cluster) -> frozenset[str]:
        """Return the names of the hosts that it is about and that the cluster has."""
        if self.means_all_hosts:
            return frozenset(cluster.host_by_name)
        return chosen(self.hosts, self.hosts_match, cluster)

    def said_hosts(self) -> str:
        return "all hosts" if self.means_all_hosts else said(self.hosts, self.hosts_match)

    def host_remarks(self, cluster: Cluster) -> list[str]:
        """Name selectors that match nothing and hosts that do not exist."""
        if self.hosts_match is not None and not self.chosen_hosts(cluster):
            return [f"no host bears {said(None, self.hosts_match)}"]
        return _unmatched("host", self.hosts or (), cluster.host_by_name.keys())


class OnHosts(OnSomeHosts):
    """Hosts, by name, by pattern or by label; something has to be said."""

    @model_validator(mode="after")
    def _says_which_hosts(self) -> Self:
        if self.means_all_hosts:
            raise ValueError("names no hosts; write `hosts: [...]` or `hosts_match: {...}`")
        return self


def chosen(names: tuple[str, ...] | None, labels: dict[str, str] | None, cluster: Cluster) -> frozenset[str]:
    """Return the hosts that are named, or that bear all the labels."""
    if labels is not None:
        return frozenset(host.name for host in cluster.hosts if labels.items() <= host.labels.items())
    return frozenset(named(names or (), cluster.host_by_name.keys()))


def named(wanted: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the known names that are wanted, each once, those of a pattern in the order in which they are known."""
    found: dict[str, None] = {}
    for name in wanted:
        if is_pattern(name):
            found |= {each: None for each in known if fnmatchcase(each, name)}
        elif name in known:
            found[name] = None
    return tuple(found)


def is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def literally(name: str) -> str:
    """Return the selector that means the bearer of a name alone, though the name may look like a pattern."""
    return escape(name) if is_pattern(name) else name


def _unmatched(thing: str, wanted: Iterable[str], known: Collection[str]) -> list[str]:
    lost = [name for name in wanted if not named((name,), known)]
    return [f"no {thing} is called like {name}" if is_pattern(name) else f"there is no {thing} {name}" for name in lost]


def said(names: tuple[str, ...] | None, labels: dict[str, str] | None) -> str:
    """Say a selector shortly."""
    if labels is not None:
        return " ".join(f"{key}={value}" for key, value in labels.items())
    shown = list(names or ())
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


def unlisted(cluster: Cluster, resources: Iterable[str]) -> list[str]:
    """Name resources that no host of the snapshot lists, and what they may have been meant for."""
    listed = sorted({name for host in cluster.hosts for name in host.resources})
    return [
        f"no host lists `{name}` under `resources`{_meant(name, listed)}" for name in resources if name not in listed
    ]


def _meant(name: str, listed: list[str]) -> str:
    near = get_close_matches(name, listed, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""
