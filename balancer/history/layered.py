"""A history that looks in other places for what it has not kept itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Any, Protocol

import pandas as pd

from balancer.domain.cluster import Cluster
from balancer.errors import HistoryError
from balancer.history.base import Event, History, HistoryHealth
from balancer.history.keeping import BUCKET_SECONDS


class Source(Protocol):
    """A place that readings can be had from; both calls raise HistoryError where they cannot."""

    @property
    def name(self) -> str: ...
    def guest_readings(self, since: datetime, until: datetime) -> pd.DataFrame: ...
    def host_readings(self, since: datetime, until: datetime) -> pd.DataFrame: ...


class LayeredHistory:
    """What is kept here comes first, then the sources in their order: each fills the five minutes still empty.

    A source that does not answer is left out until the next time, and `health` says so.
    """

    def __init__(self, kept: History, sources: Sequence[Source]) -> None:
        self._kept = kept
        self._sources = sources
        self._key_of: dict[str, str] = {}
        self._troubles: dict[str, str] = {}

    def record(self, cluster: Cluster) -> None:
        """Keep the readings, and what exporters may call each guest: its name, or its UUID."""
        self._key_of = {vm.name: vm.key for vm in cluster.vms} | {vm.key: vm.key for vm in cluster.vms}
        self._kept.record(cluster)

    def record_event(self, kind: str, subject: str, facts: Mapping[str, Any]) -> None:
        """Keep an event."""
        self._kept.record_event(kind, subject, facts)

    def guest_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the guests' readings of all places; of guests that were never seen here there are none."""
        found = self._layers(lambda place: place.guest_readings(since, until), self._key_of)
        return layered([self._kept.guest_readings(since, until), *found])

    def host_readings(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the hosts' readings of all places."""
        found = self._layers(lambda place: place.host_readings(since, until), None)
        return layered([self._kept.host_readings(since, until), *found])

    def _layers(self, ask: Callable[[Source], pd.DataFrame], key_of: Mapping[str, str] | None) -> list[pd.DataFrame]:
        layers = []
        for source in self._sources:
            try:
                readings = ask(source)
            except HistoryError as cause:
                self._troubles[source.name] = str(cause)
                continue
            self._troubles.pop(source.name, None)
            if key_of is not None:
                readings = readings.assign(key=readings["key"].map(key_of)).dropna(subset=["key"])
            layers.append(readings)
        return layers

    def events(self, since: datetime, until: datetime) -> list[Event]:
        """Return the events that are kept here."""
        return self._kept.events(since, until)

    def health(self) -> HistoryHealth:
        """Say how what is kept here fares, and which source did not answer."""
        kept = self._kept.health()
        errors = "; ".join(filter(None, (kept.last_error, *self._troubles.values())))
        return HistoryHealth(kept.size_bytes, kept.pending, kept.dropped, errors)

    def close(self) -> None:
        """Close what is kept here."""
        self._kept.close()


def layered(layers: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the readings of the first layer, and of each further one what falls into slots that are still empty."""
    result, *others = [layer for layer in layers if not layer.empty] or [layers[0]]
    for layer in others:
        filled = pd.MultiIndex.from_arrays([result["key"], _slots(result)])
        is_new = ~pd.MultiIndex.from_arrays([layer["key"], _slots(layer)]).isin(filled)
        if is_new.any():
            result = pd.concat([result, layer[is_new]], ignore_index=True)
    return result.sort_values("at", kind="stable", ignore_index=True)


def _slots(readings: pd.DataFrame) -> pd.Series[Any]:
    seconds: pd.Series[Any] = readings["at"].dt.as_unit("ms").astype("int64") / 1000
    return (seconds / BUCKET_SECONDS).apply(ceil)
