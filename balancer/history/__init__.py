"""Where readings come from and go to: a file of our own, and a history server beside it where the site names one."""

from __future__ import annotations

from collections.abc import Callable
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
from balancer.history.joined import JoinedHistory, NoFeed
from balancer.history.layered import LayeredHistory, Source
from balancer.history.prometheus import PrometheusReadings, PrometheusServer
from balancer.history.queries import READY, Queries
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


def _open_prometheus(choice: SourceChoice, secrets_dir: Path) -> Source:
    ready, own = READY.get(choice.exporter or "", Queries()), choice.queries.model_dump(exclude_none=True)
    token = _secret(choice.secret_ref, secrets_dir)
    return PrometheusReadings(PrometheusServer(choice.url, replace(ready, **own), token, choice.deadline_seconds))


SOURCES: Final[dict[str, Callable[[SourceChoice, Path], Source]]] = {"prometheus": _open_prometheus}
FEEDS: Final[dict[str, Callable[[Opening], Recorder]]] = {"influx": _open_influx}


def open_history(site: SiteFile, path: Path, secrets_dir: Path, clock: Clock | None = None) -> History:
    """Open the embedded history at this path and, where the site names them, a server's feed and further sources."""
    history: History = EmbeddedHistory(path, clock)
    if site.history is not None:
        history = JoinedHistory(history, _open_feed(Opening(site.history, site.cluster, path, secrets_dir, clock)))
    if not site.sources:
        return history
    return LayeredHistory(history, [SOURCES[choice.kind](choice, secrets_dir) for choice in site.sources])


def _open_feed(opening: Opening) -> Recorder:
    try:
        return FEEDS[opening.choice.kind](opening)
    except SiteError as reason:
        log.warning(f"nothing is sent to the history server: {reason}")
        return NoFeed(str(reason))
