"""Commands that look: snapshot, hosts, health."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from balancer.commands.exits import DONE, ERROR
from balancer.commands.opening import PolicyPath, SitePath, the_policy, the_site
from balancer.commands.screen import err, out
from balancer.cycle import look_and_expect
from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY, Host
from balancer.formats import to_json
from balancer.service import refused_policy, role_in_words, why_unhealthy
from balancer.settings import load_settings


def join(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (snapshot, hosts, health):
        app.command()(command)


def snapshot(
    site: SitePath = None,
    policy: PolicyPath = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")] = None,
) -> int:
    """Print what is seen now as balancer.snapshot/1."""
    with err.status("looking ..."), the_site(site) as opened:
        seen = look_and_expect(opened, the_policy(policy, opened.name).at(opened.clock.now()))
    if output is None:
        sys.stdout.write(to_json(seen) + "\n")
    else:
        output.write_text(to_json(seen) + "\n")
    return DONE


def hosts(site: SitePath = None, policy: PolicyPath = None) -> int:
    """List hosts with load, guests, whether they may sleep, and what is in doubt."""
    with err.status("looking ..."), the_site(site) as opened:
        seen = look_and_expect(opened, the_policy(policy, opened.name).at(opened.clock.now()))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("host", "state", "CPU", "memory", "guests", "may sleep", "remark"):
        table.add_column(title, justify="right" if title in {"CPU", "memory", "guests"} else "left")
    for host in seen.hosts:
        table.add_row(host.name, host.state, *_loads(seen, host), _may_sleep(host), _remark(seen, host))
    out.print(table)
    for doubt in seen.doubts:
        out.print(Text.assemble(("doubt ", "yellow"), f"{doubt.subject}: {doubt.kind}: {doubt.detail}"))
    return DONE


def _loads(seen: Cluster, host: Host) -> tuple[str, str, str]:
    if not host.is_on:
        return "", "", str(len(seen.guests_of(host.name)))
    shares = [f"{seen.utilisation(host, resource):.0%}" for resource in (CPU, MEMORY)]
    return shares[0], shares[1], str(len(seen.active_on(host.name)))


def _may_sleep(host: Host) -> str:
    if not host.may_sleep:
        return "no"
    return "yes" if host.sleep_blocked_by is None else "not yet"


def _remark(seen: Cluster, host: Host) -> str:
    remarks = ["drained"] if host.drained else ["cordoned"] if host.cordoned else []
    remarks += [host.shunned] if host.shunned else []
    remarks += ["asleep by the balancer"] if host.asleep_by_us else []
    remarks += [host.sleep_blocked_by] if host.may_sleep and host.sleep_blocked_by else []
    return "; ".join([*remarks, *(doubt.detail for doubt in seen.doubts if doubt.subject == f"host:{host.name}")])


def health() -> int:
    """Say whether the running service is well (exit code 0) or not (1); for container health checks."""
    state = load_settings().state
    wrong, refused = why_unhealthy(state, datetime.now(UTC)), refused_policy(state)
    role = "" if wrong else role_in_words(state)
    # A bad file is no reason to restart a service that works on under the old policy: it could not start again.
    # One line, however narrow the screen of a health check is.
    out.print("; ".join(filter(None, [wrong or "well", role, refused])), markup=False, soft_wrap=True)
    return ERROR if wrong else DONE
