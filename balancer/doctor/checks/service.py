"""The service, where it runs: is it well, what does it doubt, and what holds it back."""

from __future__ import annotations

from collections.abc import Iterator

from balancer.doctor.base import Examined, Finding, Standing
from balancer.service import HEALTH_FILE, refused_policy, why_unhealthy
from balancer.site import KILL_FILE


def service(world: Examined) -> Iterator[Finding]:
    """Read the health file of a service with this state directory."""
    if not (world.settings.state / HEALTH_FILE).exists():
        yield Finding(Standing.UNSEEN, f"none has run with the state directory {world.settings.state}", "balancer run")
        return
    wrong, refused = why_unhealthy(world.settings.state, world.now), refused_policy(world.settings.state)
    if wrong:
        yield Finding(Standing.WARNING, wrong, "its log says more")
    if refused:
        yield Finding(Standing.FAULT, refused, "balancer check POLICY")
    if not wrong and not refused:
        yield Finding(Standing.OK, "runs, and is well")


def held_back(world: Examined) -> Iterator[Finding]:
    """Say what keeps it from acting: the kill file, a pause, too many failures, hosts closed to guests."""
    kill_file = world.settings.kill_file or world.settings.state / KILL_FILE
    if kill_file.exists():
        yield Finding(Standing.WARNING, f"{kill_file} is there: nothing at all is begun", f"rm {kill_file}")
    if world.remembered is None:
        return
    halts = [str(halt) for halt in world.remembered.halts.in_force(world.now)]
    for halt in halts:
        yield Finding(Standing.WARNING, halt, "balancer resume")
    for mark in world.remembered.marks.all().values():
        if mark.cordon is not None:
            yield Finding(Standing.WARNING, f"takes no guests: {mark.cordon.why}", "balancer host undrain", mark.host)
    if not halts and not kill_file.exists():
        yield Finding(Standing.OK, "nothing")
