"""How a promise says whom it is about: guests and hosts by name or by label."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from balancer.domain.cluster import Cluster
from balancer.domain.value import Name, Value


class OfVms(Value):
    """Guests, by name or by label."""

    vms: tuple[Name, ...] | None = Field(default=None, description="guests by name")
    match: dict[str, str] | None = Field(default=None, description="guests that bear all these labels")

    @model_validator(mode="after")
    def _says_which_guests(self) -> Self:
        if (self.vms is None) == (self.match is None):
            raise ValueError("names its guests by `vms: [...]` or by `match: {...}`, by exactly one of them")
        return self

    def guests(self, cluster: Cluster) -> tuple[str, ...]:
        """Return the names of the guests that it is about and that the cluster has."""
        if self.match is not None:
            return cluster.vms_labelled(self.match)
        return tuple(name for name in self.vms or () if cluster.has_vm(name))

    def said_guests(self) -> str:
        return _said(self.vms, self.match)

    def guest_remarks(self, cluster: Cluster) -> list[str]:
        """Name selectors that match nothing and guests that do not exist."""
        if self.match is not None and not self.guests(cluster):
            return [f"no guest bears {_said(None, self.match)}"]
        return [f"there is no guest {name}" for name in self.vms or () if not cluster.has_vm(name)]


class OnHosts(Value):
    """Hosts, by name or by label."""

    hosts: tuple[Name, ...] | None = Field(default=None, description="hosts by name")
    hosts_match: dict[str, str] | None = Field(default=None, description="hosts that bear all these labels")

    @model_validator(mode="after")
    def _says_which_hosts(self) -> Self:
        if (self.hosts is None) == (self.hosts_match is None):
            raise ValueError("names its hosts by `hosts: [...]` or by `hosts_match: {...}`, by exactly one of them")
        return self

    def chosen_hosts(self, cluster: Cluster) -> frozenset[str]:
        """Return the names of the hosts that it is about and that the cluster has."""
        if self.hosts_match is not None:
            wanted = self.hosts_match.items()
            return frozenset(host.name for host in cluster.hosts if wanted <= host.labels.items())
        return frozenset(name for name in self.hosts or () if cluster.has_host(name))

    def said_hosts(self) -> str:
        return _said(self.hosts, self.hosts_match)

    def host_remarks(self, cluster: Cluster) -> list[str]:
        """Name selectors that match nothing and hosts that do not exist."""
        if self.hosts_match is not None and not self.chosen_hosts(cluster):
            return [f"no host bears {_said(None, self.hosts_match)}"]
        return [f"there is no host {name}" for name in self.hosts or () if not cluster.has_host(name)]


def _said(names: tuple[str, ...] | None, labels: dict[str, str] | None) -> str:
    if labels is not None:
        return " ".join(f"{key}={value}" for key, value in labels.items())
    shown = list(names or ())
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
