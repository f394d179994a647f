"""Whether all is as it should be around the balancer. Each check is a function in `checks/`, and one line here."""

from __future__ import annotations

from balancer.doctor.base import Check, Examined, Finding, Standing
from balancer.doctor.checks import (
    clocks,
    files,
    history,
    hypervisors,
    notices,
    packages,
    power,
    proofs,
    service,
    storing,
    web,
)

CHECKS: tuple[Check, ...] = (
    Check("settings", files.settings),
    Check("site file", files.site_file),
    Check("policy", files.policy),
    Check("secrets", files.secrets),
    Check("packages", packages.packages),
    Check("store", storing.store),
    Check("state directory", storing.state),
    Check("history", history.history),
    Check("dashboard", web.web),
    Check("hypervisors", hypervisors.hypervisors),
    Check("versions", hypervisors.versions),
    Check("in common", hypervisors.in_common),
    Check("BMCs", power.bmcs),
    Check("proofs", proofs.proofs),
    Check("clocks", clocks.clocks),
    Check("notifications", notices.notices),
    Check("service", service.service),
    Check("held back", service.held_back),
)
"""In the order in which they are told: what others rest on comes first."""


def examine(world: Examined) -> list[Finding]:
    """Make all checks. One that fails for want of words is a fault of that check, and the others go on."""
    return [finding for check in CHECKS for finding in check.made(world)]


__all__ = ["CHECKS", "Check", "Examined", "Finding", "Standing", "examine"]
