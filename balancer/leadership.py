"""One balancer acts on a cluster: the right to act is a lease with a token that grows with each new holder."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from balancer import lifetime
from balancer.errors import SiteError, StoreError
from balancer.site import Site
from balancer.store.lease import Lease

log = structlog.get_logger()


@dataclass(frozen=True)
class LeaseTimes:
    """How the time of a lease is spent. What begins under it has taken effect before another may act:

        renew_every + renewal_takes < hands_live        a leader that is well never loses its hands
        hands_live + on_the_wire   <= lease             what dead hands sent has arrived before the lease is over

    All are counted from the moment before a renewal was asked for, on a clock that nobody sets.
    """

    lease_seconds: float

    @property
    def renew_every_seconds(self) -> float:
        return self.lease_seconds / 6

    @property
    def renewal_takes_seconds(self) -> float:
        """A store that takes longer to answer costs the leader its hands, and nothing else."""
        return self.lease_seconds / 3

    @property
    def hands_live_seconds(self) -> float:
        """The kernel ends the acting process this long after the last renewal."""
        return self.lease_seconds * 3 / 4

    @property
    def on_the_wire_seconds(self) -> float:
        """What an order that was sent may take to reach its hypervisor or BMC; and clocks that do not run alike."""
        return self.lease_seconds / 4

    @property
    def takeover_seconds(self) -> float:
        """A standby leads at most this long after a leader has died: it looks as often as a leader renews."""
        return self.lease_seconds + self.renew_every_seconds

    def __post_init__(self) -> None:
        assert self.renew_every_seconds + self.renewal_takes_seconds < self.hands_live_seconds
        assert self.hands_live_seconds + self.on_the_wire_seconds <= self.lease_seconds


class Leadership:
    """The right to act on a site, while it is renewed."""

    def __init__(self, site: Site, seconds: float) -> None:
        self._site, self.times = site, LeaseTimes(seconds)
        # In containers host names and process numbers repeat, so a part of it is drawn.
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def take(self, patience_seconds: float | None = None) -> None:
        """Take the lease, waiting for one that is held to run out. SiteError names the holder that keeps it."""
        clock = self._site.clock
        patience = self.times.lease_seconds + 5 if patience_seconds is None else patience_seconds
        give_up = clock.now().timestamp() + patience
        while not self.take_if_free():
            if clock.now().timestamp() >= give_up:
                holder = self.held_by() or "it could not be written"
                raise SiteError(self._site.name, "take the right to act", holder, "stop the other balancer")
            clock.sleep(1.0)

    def take_if_free(self) -> bool:
        """Take the lease unless another balancer holds it."""
        asked_at = lifetime.moment()
        token = self._lease.acquire(self.owner, self.times.lease_seconds, self._site.clock.now())
        if token is not None:
            self._site.lead(token, asked_at + self.times.hands_live_seconds)
        return token is not None

    def renew(self) -> bool:
        """Say that this balancer still lives; False when the right has passed to another, which ends all action."""
        token, asked_at = self._site.acting.token, lifetime.moment()
        if token is None or not self._lease.renew(token, self.times.lease_seconds, self._site.clock.now()):
            return False
        self._site.hands.may_act_until(asked_at + self.times.hands_live_seconds)
        return True

    def give_back(self) -> None:
        """Let another act; what it may not find half done is ended before."""
        token = self._site.acting.token
        if token is None:
            return
        self._site.follow()
        try:
            self._lease.release(token, self._site.clock.now())
        except StoreError as failed:
            log.warning("the right to act was not given back and runs out by itself", cause=str(failed))

    def held_by(self) -> str:
        """Say who may act now; empty where nobody may."""
        holder = self._lease.holder(self._site.clock.now())
        return f"{holder.owner} holds it until {holder.until:%H:%M:%S}" if holder else ""

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Hold what was taken for as long as the block runs; a thread of its own renews it.

        Who loses it all the same (a frozen machine, a store that cannot be written) finds out at the next action: each
        is begun in a transaction that checks the token.
        """
        ended = threading.Event()
        renewing = threading.Thread(target=self._keep_renewing, args=(ended,), name="lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()
            self.give_back()

    def _keep_renewing(self, ended: threading.Event) -> None:
        said = ""
        while not ended.wait(self.times.renew_every_seconds):
            try:
                trouble = "" if self.renew() else "another balancer has taken it, or it ran out"
            except StoreError as failed:
                trouble = str(failed)
            if trouble and trouble != said:
                log.warning("the right to act could not be renewed", cause=trouble)
            said = trouble

    @property
    def _lease(self) -> Lease:
        return self._site.acting.store.lease


@contextmanager
def leading(site: Site, seconds: float) -> Iterator[None]:
    """Hold the right to act on a site for as long as the block runs, once whoever has it now has given it up."""
    if site.is_private:
        yield
        return
    leadership = Leadership(site, seconds)
    leadership.take()
    with leadership.renewed():
        yield
