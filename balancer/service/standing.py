"""What this balancer is to its cluster: it leads, it stands by, or it only looks."""

from __future__ import annotations

from contextlib import ExitStack
from threading import RLock

import structlog

from balancer.leadership import Leadership
from balancer.site import Site

log = structlog.get_logger()


class Standing:
    """Takes the right to act where nobody else has it, and gives it back. May be asked from any thread."""

    def __init__(self, site: Site, lease_seconds: float) -> None:
        self._site = site
        self._leadership = Leadership(site, lease_seconds)
        self._held: ExitStack | None = None
        self._changing = RLock()
        self.role = ""  # as it was last said

    @property
    def leads(self) -> bool:
        return self._held is not None

    @property
    def looks_every_seconds(self) -> float:
        """A standby looks as often as a leader renews."""
        return self._leadership.times.renew_every_seconds

    def see_to_it(self) -> bool:
        """Lead where nobody else does, and stop where the right to act was lost; says whether it was taken just now."""
        with self._changing:
            if self._held is not None and not self._is_lost():
                return False
            for runner in list(self._site.runners):
                runner.stop("the right to act was lost")
            if self._site.runners:
                return False  # it sees what it began to its end, and begins nothing
            self.let_go()
            return self.lead()

    def _is_lost(self) -> bool:
        """Whether the right to act has run out: a machine that stood still would wake nobody ever again."""
        lost = not self._site.acting.may_act
        if lost:
            log.warning("the right to act was lost, and is asked for anew")
        return lost

    def lead(self) -> bool:
        """Take the right to act and keep it until the last migration has ended; stand by where another has it."""
        held = ExitStack()
        if not self._site.is_private:
            if not self._leadership.take_if_free():
                self._site.stands_by = True
                self.say(f"stands by: {self._leadership.held_by() or 'nobody leads yet'}")
                return False
            held.enter_context(self._leadership.renewed())
        self._held, self._site.stands_by = held, False
        self.say("leads")
        return True

    def say(self, role: str) -> None:
        """Log what this balancer is to the cluster when that has changed; until when another leads always does."""
        who = role.partition(" until ")[0]
        if who != self.role.partition(" until ")[0]:
            log.info(f"this balancer {who or 'only looks'}", owner=self._leadership.owner)
        self.role = role

    def only_look(self) -> None:
        """Give the right to act back: the policy's mode asks for none."""
        self.let_go()
        self.say("")

    def let_go(self) -> None:
        """Give the right to act back."""
        with self._changing:
            held, self._held = self._held, None
            self._site.stands_by = False
            if held is not None:
                held.close()
