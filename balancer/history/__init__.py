"""Where readings come from and go to: a file of our own, and a history server beside it where the site names one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from pydantic import SecretStr

from balancer.clock import Clock
from balancer.domain.site_file import HistoryChoice, SiteFile, SourceChoice
from balancer.errors import SiteError
from balancer.history.base import History, Recorder
from balancer.history.embedded import EmbeddedHistory
from balancer.history.influxql import InfluxReadings, InfluxServer
from balancer.history.joined import JoinedHistory, NoFeed
from balancer.history.layered import LayeredHistory, Source
from balancer.history.prometheus import PrometheusReadings, PrometheusServer
from balancer.history.queries import INFLUXQL, PROMQL, Queries
from balancer.secrets import read_secret

log = structlog.get_logger()


@dataclass(frozen=True)
class Opening:
    """What is needed to open the feed of a history server."""

    choice: HistoryChoice
    cluster: str
    path: Path
    secrets_dir: Path
    clock: Clock | None


def _open_influx(opening: Opening) -> Recorder:
    from balancer.history.influx import InfluxFeed, Server

    choice = opening.choice
    server = Server(choice.url, choice.bucket, choice.org, _token(opening))
    # A file of its own: the feed's thread and the cycle never wait for each other's lock.
    spool = opening.path.with_name(f"{opening.path.stem}-spool{opening.path.suffix}")
    return InfluxFeed(server, opening.cluster, spool, opening.clock)


def _token(opening: Opening) -> SecretStr | None:
    return _secret(opening.choice.secret_ref, opening.secrets_dir)


def _secret(ref: str | None, secrets_dir: Path) -> SecretStr | None:
    if ref is None:
        return None
    secret = read_secret(ref, secrets_dir, "history")
    if secret.warning:
        log.warning(secret.warning)
    return secret.value


@dataclass(frozen=True)
class SourceOpening:
    """What is needed to open a source of readings."""

    choice: SourceChoice
    cluster: str
    secrets_dir: Path
    clock: Clock | None

    def queries(self, ready: Mapping[str, Queries]) -> Queries:
        """Return what is asked: the ready queries of its exporter, and in their place those of one's own."""
        own = self.choice.queries.model_dump(exclude_none=True)
        return replace(ready.get(self.choice.exporter or "", Queries()), **own)

    @property
    def token(self) -> SecretStr | None:
        return _secret(self.choice.secret_ref, self.secrets_dir)


def _open_prometheus(opening: SourceOpening) -> Source:
    choice = opening.choice
    server = PrometheusServer(choice.url, opening.queries(PROMQL), opening.token, choice.deadline_seconds)
    return PrometheusReadings(server, opening.clock)


def _open_influxql(opening: SourceOpening) -> Source:
    choice = opening.choice
    server = InfluxServer(
        choice.url,
        choice.database,
        opening.queries(INFLUXQL),
        cluster=opening.cluster,
        retention=choice.retention,
        user=choice.user,
        token=opening.token,
        deadline_seconds=choice.deadline_seconds,
    )
    return InfluxReadings(server, opening.clock)


SOURCES: Final[dict[str, Callable[[SourceOpening], Source]]] = {
    "prometheus": _open_prometheus,
    "influx": _open_influxql,
}
FEEDS: Final[dict[str, Callable[[Opening], Recorder]]] = {"influx": _open_influx}


def open_history(site: SiteFile, path: Path, secrets_dir: Path, clock: Clock | None = None) -> History:
    """Open the embedded history at this path and, where the site names them, a server's feed and further sources."""
    history: History = EmbeddedHistory(path, clock)
    if site.history is not None:
        history = JoinedHistory(history, _open_feed(Opening(site.history, site.cluster, path, secrets_dir, clock)))
    if not site.sources:
        return history
    openings = [SourceOpening(choice, site.cluster, secrets_dir, clock) for choice in site.sources]
    return LayeredHistory(history, [SOURCES[opening.choice.kind](opening) for opening in openings])


def _open_feed(opening: Opening) -> Recorder:
    try:
        return FEEDS[opening.choice.kind](opening)
    except SiteError as reason:
        log.warning(f"nothing is sent to the history server: {reason}")
        return NoFeed(str(reason))
