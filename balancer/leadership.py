"""One balancer acts on a cluster: the right to act is a lease with a token that grows with each new holder."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from balancer.errors import SiteError, StoreError
from balancer.site import Site
from balancer.store.lease import Lease

log = structlog.get_logger()


class Leadership:
    """The right to act on a site, while it is renewed."""

    def __init__(self, site: Site, seconds: float) -> None:
        self._site, self._seconds = site, seconds
        # In containers host names and process numbers repeat, so a part of it is drawn.
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def take(self, patience_seconds: float | None = None) -> None:
        """Take the lease, waiting for one that is held to run out. SiteError names the holder that keeps it."""
        clock = self._site.clock
        patience = self._seconds + 5 if patience_seconds is None else patience_seconds
        give_up = clock.now().timestamp() + patience
        while (token := self._lease.acquire(self.owner, self._seconds, clock.now())) is None:
            if clock.now().timestamp() >= give_up:
                raise SiteError(self._site.name, "take the right to act", self._held_by(), "stop the other balancer")
            clock.sleep(1.0)
        self._site.acting = replace(self._site.acting, token=token)

    def renew(self) -> bool:
        """Say that this balancer still lives; False when the right has passed to another, which ends all action."""
        token = self._site.acting.token
        return token is not None and self._lease.renew(token, self._seconds, self._site.clock.now())

    def give_back(self) -> None:
        token = self._site.acting.token
        if token is not None:
            self._lease.release(token, self._site.clock.now())
            self._site.acting = replace(self._site.acting, token=None)

    @property
    def _lease(self) -> Lease:
        return self._site.acting.store.lease

    def _held_by(self) -> str:
        holder = self._lease.holder(self._site.clock.now())
        return f"{holder.owner} holds it until {holder.until:%H:%M:%S}" if holder else "it could not be written"


@contextmanager
def leading(site: Site, seconds: float) -> Iterator[None]:
    """Hold the right to act on a site for as long as the block runs; a thread of its own renews it.

    Who loses it all the same (a frozen machine, a store that cannot be written) finds out at the next action: each is
    begun in a transaction that checks the token.
    """
    if site.is_private:
        yield
        return
    leadership, ended = Leadership(site, seconds), threading.Event()
    leadership.take()

    def keep_renewing() -> None:
        while not ended.wait(seconds / 3):
            try:
                leadership.renew()
            except StoreError as failed:
                log.warning("the right to act could not be renewed", cause=str(failed))

    renewing = threading.Thread(target=keep_renewing, name="lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        leadership.give_back()
