"""All that can be made to go wrong in a simulated world."""

from __future__ import annotations

from contextlib import AbstractContextManager

from balancer.errors import Prospect
from balancer.simulation.machines import BmcFault, Metrics, MigrationFate, SimGuest, SimHost


class Trouble:
    """Breaks things on demand; time and consequences are the world's."""

    hosts: dict[str, SimHost]
    guests: dict[str, SimGuest]

    def settled(self) -> AbstractContextManager[None]:
        """Hold the world still at the present moment."""
        raise NotImplementedError

    # -- hosts

    def make_unreachable(self, host: str) -> None:
        """Cut a hypervisor off from us; it runs on, its guests and their migrations too."""
        with self.settled():
            self.hosts[host].reachable = False

    def heal(self, host: str) -> None:
        """Mend all that is wrong with a host and its BMC; one that crashed still wants its power cut."""
        with self.settled():
            sick = self.hosts[host]
            sick.reachable, sick.metrics, sick.bmc_of = True, Metrics.TRUE, host
            sick.never_boots = sick.refuses_soft_shutdown = sick.bmc_is_vague = False
            sick.bmc_fault = sick.bmc_lies = None
            sick.lost.clear()

    def refuse_soft_shutdown(self, host: str) -> None:
        """Let a host ignore the request to shut down."""
        with self.settled():
            self.hosts[host].refuses_soft_shutdown = True

    def never_boots(self, host: str) -> None:
        """Let a host take power and never come up."""
        with self.settled():
            self.hosts[host].never_boots = True

    def lose(self, host: str, name: str) -> None:
        """Let a storage pool or a network of a host not come up."""
        with self.settled():
            self.hosts[host].lost.add(name)

    # -- BMCs

    def stop_bmc(self, host: str) -> None:
        """Let a BMC answer no more."""
        self._set_bmc_fault(host, BmcFault.SILENT)

    def wrong_bmc_password(self, host: str) -> None:
        """Let a BMC refuse the password."""
        self._set_bmc_fault(host, BmcFault.WRONG_PASSWORD)

    def busy_bmc(self, host: str) -> None:
        """Let a BMC be busy with something else."""
        self._set_bmc_fault(host, BmcFault.BUSY)

    def _set_bmc_fault(self, host: str, fault: BmcFault) -> None:
        with self.settled():
            self.hosts[host].bmc_fault = fault

    def make_bmc_vague(self, host: str) -> None:
        """Let a BMC not know whether its server has power."""
        with self.settled():
            self.hosts[host].bmc_is_vague = True

    def make_bmc_lie(self, host: str, says_on: bool) -> None:
        """Let a BMC say that its server has power, or that it has none, whatever is true."""
        with self.settled():
            self.hosts[host].bmc_lies = says_on

    def swap_bmcs(self, one: str, other: str) -> None:
        """Swap the cables of two BMCs: each now switches the other server."""
        with self.settled():
            a, b = self.hosts[one], self.hosts[other]
            a.bmc_of, b.bmc_of = b.bmc_of, a.bmc_of

    # -- readings

    def forget_metrics(self, subject: str) -> None:
        """Let the readings of a host or a guest be missing."""
        self._spoil_metrics(subject, Metrics.MISSING)

    def absurd_metrics(self, subject: str, cores: float = -1.0) -> None:
        """Let a host or a guest report so many cores in use, however impossible."""
        self._spoil_metrics(subject, Metrics.ABSURD, cores)

    def true_metrics(self, subject: str) -> None:
        """Let the readings of a host or a guest be true again."""
        self._spoil_metrics(subject, Metrics.TRUE)

    def _spoil_metrics(self, subject: str, metrics: Metrics, cores: float = 0.0) -> None:
        with self.settled():
            thing: SimHost | SimGuest = self.hosts[subject] if subject in self.hosts else self.guests[subject]
            thing.metrics, thing.absurd_value = metrics, cores

    # -- migrations: what is said here holds for the one in flight, else for the next

    def fail_migration(
        self,
        vm: str,
        at_share: float = 0.5,
        error: str = "operation failed: lost connection",
        prospect: Prospect = Prospect.UNKNOWN,
    ) -> None:
        """Let a guest's migration fail once this share has been copied; the guest stays where it was."""
        self._doom(vm, MigrationFate(stops_at_share=at_share, error=error, prospect=prospect))

    def hang_migration(self, vm: str, at_share: float = 0.5) -> None:
        """Let a guest's migration stop half-way and not end before it is aborted."""
        self._doom(vm, MigrationFate(stops_at_share=at_share, hangs=True))

    def succeed_but_report_failure(self, vm: str, error: str = "timed out during operation") -> None:
        """Let a guest arrive while the job says that it failed."""
        self._doom(vm, MigrationFate(error=error, arrives=True))

    def mend_migration(self, vm: str) -> None:
        """Let a guest's migration go well after all; one that hung goes on."""
        self._doom(vm, MigrationFate(arrives=True))

    def _doom(self, vm: str, fate: MigrationFate) -> None:
        raise NotImplementedError

    # -- guests

    def start_disk_job(self, vm: str) -> None:
        """Let a copy of a guest's disk run (until `end_disk_job`)."""
        with self.settled():
            self.guests[vm].disk_job = True

    def end_disk_job(self, vm: str) -> None:
        """Let the copy of a guest's disk be over."""
        with self.settled():
            self.guests[vm].disk_job = False

    def leave_stale_definition(self, vm: str, host: str) -> None:
        """Leave an old definition of a guest on a host where it no longer lives."""
        with self.settled():
            self.guests[vm].stale_definitions.add(host)
