"""Targets of notifications and the Alertmanager: understood, and reached. No message is sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from balancer.doctor.base import Examined, Finding, Standing
from balancer.domain.notices import Target
from balancer.errors import SiteError
from balancer.notifying.alertmanager import NAME, Silencer
from balancer.notifying.targets import plugin_of, server_in, url_of

TRY_IT = "balancer notify test"
HELD_BACK = "nothing waits for it, and messages are kept for it meanwhile"


def notices(world: Examined) -> Iterator[Finding]:
    """Open each target and knock at its server."""
    if world.site is None:
        return
    for target in world.site.notify.targets if world.site.notify is not None else ():
        yield _target(target, world)
    if world.site.alertmanager is not None:
        yield _alertmanager(world)


def _target(target: Target, world: Examined) -> Finding:
    try:
        url = url_of(target, world.settings.secrets)
        plugin_of(target, url)
    except SiteError as failed:
        return Finding(Standing.WARNING, f"{failed.operation}: {failed.cause}", failed.way_out, target.name)
    server = server_in(url)
    if server is None:
        return Finding(
            Standing.UNSEEN, "is understood; whether it is reached only a message tells", TRY_IT, target.name
        )
    where = f"{server[0]}:{server[1]}"
    try:
        socket.create_connection(server, timeout=world.deadline_seconds).close()
    except OSError as failed:
        words = f"{where} is not reached: {failed.strerror or failed}"
        return Finding(Standing.WARNING, words, HELD_BACK, target.name)
    return Finding(Standing.OK, f"{where} answers", about=target.name)


def _alertmanager(world: Examined) -> Finding:
    assert world.site is not None and world.site.alertmanager is not None
    rules = world.site.alertmanager
    try:
        version = Silencer(rules, world.site.cluster, world.settings.secrets).version()
    except SiteError as failed:
        return Finding(Standing.WARNING, str(failed), "see that it runs and its `url` is right", NAME)
    return Finding(Standing.OK, f"answers, version {version}", about=NAME)
