"""Commands that hold the balancer back, and say what does: pause, resume, abort, status."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.text import Text

from balancer.actions import NO_REASON, Asking
from balancer.commands.exits import DONE, ERROR
from balancer.commands.opening import PolicyPath, SitePath, the_policy, the_site
from balancer.commands.screen import err, out
from balancer.commands.who import who
from balancer.domain.units import count_of
from balancer.leadership import leading
from balancer.remembering import REPEATED_WITHIN
from balancer.settings import load_settings
from balancer.store import Store

Why = Annotated[str, typer.Option(help="What it is for; shown to everybody who asks.")]


def join(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (pause, resume, abort, status):
        app.command()(command)


def pause(why: Why = NO_REASON, site: SitePath = None) -> int:
    """Begin nothing but waking any more, until `balancer resume`; what moves may arrive (`balancer abort` ends it)."""
    with the_site(site) as opened:
        Asking(opened, who()).pause(why)
        out.print(opened.why_held)
    return DONE


def resume(site: SitePath = None) -> int:
    """Let the balancer go on after a pause, or after it stopped because of failures."""
    with the_site(site) as opened:
        lifted = Asking(opened, who()).resume()
        for halt in lifted:
            out.print(f"lifted: {halt}")
        killed = opened.acting.why_killed
        if killed:
            err.print(Text(killed, style="red"))
            return ERROR
        out.print("it goes on" if lifted else "nothing held it back")
    return DONE


def abort(
    guest: Annotated[str | None, typer.Argument(help="The guest whose migration to give up; none: of all.")] = None,
    why: Why = NO_REASON,
    site: SitePath = None,
    policy: PolicyPath = None,
) -> int:
    """Give migrations up that are under way; their guests stay where they are. New ones begin unless it is paused."""
    settings = load_settings()
    with the_site(site) as opened:
        wanted = Asking(opened, who()).give_up(guest, why)
        if not wanted:
            out.print("nothing is under way")
            return DONE
        for entry in wanted:
            out.print(f"to be given up: {entry}")
        holder = None if opened.is_private else opened.acting.store.lease.holder(opened.clock.now())
        if holder is not None:
            out.print(f"the balancer that acts here ({holder.owner}) gives it up within seconds")
            return DONE
        with leading(opened, settings.lease_seconds):
            for settled in opened.settle(the_policy(policy, opened.name).at(opened.clock.now())):
                out.print(Text.assemble(("settled ", "yellow"), str(settled)))
    return DONE


def status(site: SitePath = None) -> int:
    """Say what holds the balancer back, what is under way and in which phase, and what is not tried for a while."""
    with the_site(site) as opened:
        lines = list(_status(opened.acting.store, opened.clock.now(), opened.why_held))
    for line in lines:
        out.print(line)
    return DONE


def _status(store: Store, now: datetime, held: str) -> Iterator[str]:
    yield f"held back: {held}" if held else "nothing holds it back"
    for entry in store.journal.unsettled():
        yield f"under way: {entry}"
    for reserved in store.reservations.all():
        yield f"reserved on {reserved.target}: {reserved}"
    for host in store.failures.shunned(now).values():
        yield f"no guest is brought to {host.host} until {host.until:%H:%M}: {host.why}"
    names = _names(store)
    for setback in store.failures.setbacks(now):
        vm, until = names.get(setback.vm_key, setback.vm_key), f"{setback.until:%Y-%m-%d %H:%M}"
        yield f"{vm} is not tried towards {setback.target} until {until}: {setback.why}"
    failed = store.failures.since(now - timedelta(hours=1))
    if failed:
        last = failed[-1]
        yield f"{count_of(len(failed), 'failure')} within the hour, the last at {last.at:%H:%M}: {last.detail}"
    for stray in store.sightings.strays_since(now - REPEATED_WITHIN):
        yield f"moved without us at {stray.at:%Y-%m-%d %H:%M}: {stray}"


def _names(store: Store) -> dict[str, str]:
    """Return the guests' names by what they are remembered by, as far as the journal knows them."""
    return {entry.vm_id: entry.vm for entry in store.journal.latest(1000) if entry.vm_id and entry.vm}
