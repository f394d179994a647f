"""Looking at all hosts at the same time, as often as it takes to believe what is seen."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial

from balancer.clock import Clock
from balancer.domain.site_file import SiteFile
from balancer.platforms.libvirt.assembling import Picture, assemble, suspects
from balancer.platforms.libvirt.definition import CpuAsked
from balancer.platforms.libvirt.dirtying import DirtyRates
from balancer.platforms.libvirt.guests_seen import Memory, Seen
from balancer.platforms.libvirt.library import Connection
from balancer.platforms.libvirt.link import HostLink, ask_all
from balancer.platforms.libvirt.looking import HostLook, count, look
from balancer.platforms.libvirt.questions import can_give
from balancer.platforms.libvirt.rates import Rates, earliest_comparable, needs_another_look, rates
from balancer.platforms.libvirt.samples import Counters
from balancer.platforms.libvirt.settling import Ends

SECONDS_BETWEEN_LOOKS = 1.0

InFlight = Callable[[], Mapping[str, Ends]]


class Observer:
    """Remembers what the last look has brought: counters to compare with, and guests of hosts that fall silent."""

    def __init__(self, site: SiteFile, clock: Clock, links: Mapping[str, HostLink], in_flight: InFlight) -> None:
        self._site, self._clock, self._links, self._in_flight = site, clock, links, in_flight
        self._looking = threading.Lock()
        self._memory = Memory()
        self._counters: dict[str, Counters] = {}
        self._glances: list[Mapping[str, Counters]] = []  # the last two
        self._cores_of: dict[str, float] = {}  # of the hosts that answered the last look
        self._dirty = DirtyRates(links)
        self._able: dict[tuple[str, CpuAsked], bool] = {}  # by CPU digest of the host

    def observe(self) -> Picture:
        """Look at all hosts. Two callers look one after the other, so that both compare with a look before theirs."""
        with self._looking:
            looks, failures = self._look()
            if suspects(looks, failures, self._memory, self._in_flight()):
                self._clock.sleep(SECONDS_BETWEEN_LOOKS)
                looks, failures = self._look()
            found = self._rates(looks, failures)
            looks = {host: look for host, look in looks.items() if host in found}
            seen = Seen(looks, failures, found, self._cpus(looks))
            picture = assemble(self._site, self._clock.now(), seen, self._memory, self._in_flight())
            self._memory = picture.memory
            self._dirty.ask_for_more(looks, self._clock.now())
            return picture

    def glance(self) -> dict[str, float]:
        """Return the cores in use since the last glance, of the hosts that can be believed."""
        with self._looking:
            now, _ = ask_all(self._links, "count CPU time", dict.fromkeys(self._cores_of, count))
            before = self._glances[-1] if self._glances else {}
            self._glances = [*self._glances[-1:], now]
        none = Counters(None, {})
        found = {host: rates(before.get(host, none), now[host], self._cores_of[host], {}).cores for host in now}
        return {host: cores for host, cores in found.items() if cores is not None}

    def compare_with_the_last_glances(self) -> None:
        """Take the glance before the last one for the last look."""
        with self._looking:
            self._counters |= self._glances[0] if self._glances else {}

    def last_seen_uuid(self, host: str) -> str | None:
        """Return the UUID that a host's hypervisor gave when it was last seen."""
        hosts = self._memory.hosts
        return hosts[host].id if host in hosts else None

    def _cpus(self, looks: Mapping[str, HostLook]) -> Mapping[CpuAsked, Mapping[str, bool]]:
        """Say which kinds of hosts can give each CPU that some guest was given; each is asked once for each CPU."""
        wanted = {guest.definition.cpu for look in looks.values() for guest in look.guests} - {None}
        unasked = {
            host: [cpu for cpu in wanted if cpu is not None and (kind, cpu) not in self._able]
            for host, look in looks.items()
            if (kind := look.facts.cpu_digest) is not None
        }
        questions = {host: partial(can_give, cpus=cpus) for host, cpus in unasked.items() if cpus}
        # A host that does not answer this says so in the look itself; what it could give stays unknown until it does.
        answers, _ = ask_all(self._links, "compare CPUs", questions)
        for host, found in answers.items():
            self._able |= {(str(looks[host].facts.cpu_digest), cpu): able for cpu, able in found.items()}
        able: dict[CpuAsked, dict[str, bool]] = defaultdict(dict)
        for (kind, cpu), can in self._able.items():
            able[cpu][kind] = can
        return able

    def _look(self) -> tuple[dict[str, HostLook], dict[str, str]]:
        questions = {name: partial(self._look_at, name) for name in self._links}
        answers, failures = ask_all(self._links, "look at the host and its guests", questions)
        return answers, {host: str(error) for host, error in failures.items()}

    def _look_at(self, host: str, connection: Connection) -> HostLook:
        return look(connection, host, self._clock.now(), self._site.shared_paths)

    def _rates(self, looks: Mapping[str, HostLook], failures: dict[str, str]) -> dict[str, Rates]:
        """Compare with the last look; where that does not serve, count once more after a moment."""
        now = {host: look.counters for host, look in looks.items()}
        again = [host for host, counters in now.items() if needs_another_look(self._counters.get(host), counters)]
        if again:
            self._clock.sleep(SECONDS_BETWEEN_LOOKS)
            answers, failed = ask_all(self._links, "count CPU time", dict.fromkeys(again, count))
            failures |= {host: str(error) for host, error in failed.items()}
            now = {host: counters for host, counters in now.items() if host not in failed} | answers
        found = {host: self._rates_of(looks[host], counters) for host, counters in now.items()}
        self._counters |= now
        self._cores_of = {host: looks[host].cpus for host in found}
        return found

    def _rates_of(self, look: HostLook, now: Counters) -> Rates:
        before = earliest_comparable(self._counters.get(look.host), look.counters, now)
        active = {guest.run_key: guest.vcpus for guest in look.guests if guest.is_active}
        return rates(before, now, look.cpus, active)
