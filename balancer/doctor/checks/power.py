"""BMCs: does each answer, and is it its own host's."""

from __future__ import annotations

from collections.abc import Iterator

from balancer.beginning.remarks import whose
from balancer.doctor.base import Examined, Finding, Standing
from balancer.doctor.checks.hypervisors import STANDINGS


def bmcs(world: Examined) -> Iterator[Finding]:
    """Ask each BMC for its host's power and its GUID, and compare that with the hypervisor's UUID."""
    if world.found is None or world.site is None:
        return
    for host in world.site.hosts:
        bmc = world.found.bmcs.get(host.name)
        if bmc is None:
            if host.may_sleep:
                way_out = "give it a `bmc:`, or `may_sleep: false`"
                yield Finding(Standing.FAULT, "may sleep and has no BMC to wake it", way_out, host.name)
        elif bmc.failure:
            yield Finding(Standing.FAULT, bmc.failure, about=host.name)
        else:
            yield from _answering(world, host.name)


def _answering(world: Examined, name: str) -> Iterator[Finding]:
    assert world.found is not None
    bmc = world.found.bmcs[name]
    said = list(whose(name, bmc, world.found)) if name in world.found.hosts else []
    for remark in said:
        yield Finding(STANDINGS[remark.weight], remark.words, about=name)
    if not said:
        own = ", is its own" if name in world.found.hosts else ", whose it is cannot be seen while it is silent"
        yield Finding(Standing.OK, f"says {bmc.state}{own}", about=name)
