"""Commands about power: status, wake, test."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from balancer import accounting
from balancer.commands.asking import Format
from balancer.commands.exits import DONE, ERROR
from balancer.commands.opening import PolicyPath, SitePath, Switches, the_policy, the_site, the_switches
from balancer.commands.screen import err, out
from balancer.commands.who import who
from balancer.errors import BalancerError, Fault, InputError, PowerError
from balancer.execution.power_proof import prove_power
from balancer.leadership import leading
from balancer.power.base import PowerState, PowerSwitch
from balancer.reporting.power import power_json, power_text
from balancer.reporting.savings import savings_json, savings_table
from balancer.settings import load_settings
from balancer.site import limits_of
from balancer.store.audit import AuditLine

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def status(
    site: SitePath = None, format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT
) -> int:
    """Ask every BMC and hypervisor whether its host is on, and show what has been proven of it."""
    with err.status("asking every BMC ..."), the_site(site) as opened:
        names = list(opened.acting.switches)
        with ThreadPoolExecutor(max_workers=16) as pool:
            states = list(pool.map(_state_in_words, opened.acting.switches.values()))
            answers = list(pool.map(opened.acting.platform.answers, names))
        known = accounting.powers(opened.acting.store, zip(names, states, answers, strict=True))
        now = opened.clock.now()
    if format is Format.JSON:
        sys.stdout.write(power_json(known, now) + "\n")
    else:
        out.print(power_text(known, now))
    return DONE


def _state_in_words(switch: PowerSwitch) -> str:
    try:
        return switch.state()
    except PowerError as failed:
        return str(failed)


@app.command()
def wake(
    host: Annotated[str | None, typer.Argument(help="The host to wake.")] = None,
    all_hosts: Annotated[bool, typer.Option("--all", help="Wake every host of the site file that is off.")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Give the order also where the BMC says that the host is on.")
    ] = False,
    site: SitePath = None,
) -> int:
    """Switch hosts on, from the site file alone; waking is always allowed."""
    if (host is None) == (not all_hosts):
        raise InputError([Fault("balancer power wake", "names no host", "give a host, or --all")])
    with the_switches(site) as switches:
        names = list(switches.by_host) if host is None else [_known(switches.by_host, host)]
        with ThreadPoolExecutor(max_workers=16) as pool:
            said = list(pool.map(lambda name: _wake(name, switches, anyway), names))
        for name, each in zip(names, said, strict=True):
            out.print(Text(f"{name} {each.words}") if each.is_well else Text(each.words, style="red"))
        # Afterwards: in an emergency the store may be what is down, and to wait for it would hold up the orders.
        _write_down([name for name, each in zip(names, said, strict=True) if each.was_asked], switches)
    return DONE if all(each.is_well for each in said) else ERROR


@dataclass(frozen=True)
class _Said:
    """What became of an order to wake one host."""

    is_well: bool
    words: str
    was_asked: bool = False


def _write_down(names: Sequence[str], switches: Switches) -> None:
    """Write into the audit who was asked to wake; say so where the store does not take it."""
    if not names:
        return
    try:
        with switches.opening_store() as store:
            for name in names:
                store.audit.add(AuditLine(switches.clock.now(), who(), "asked to wake", f"host:{name}"))
    except BalancerError as failed:
        err.print(Text(f"the audit does not say so, nothing else is amiss: {failed}", style="yellow"))


def _known(switches: Mapping[str, PowerSwitch], host: str) -> str:
    if host not in switches:
        known = ", ".join(switches) or "none"
        raise InputError([Fault(host, "has no BMC in the site file", f"hosts with one: {known}")])
    return host


def _wake(name: str, switches: Switches, anyway: bool) -> _Said:
    switch = switches.by_host[name]
    try:
        if not anyway and switch.state() is PowerState.ON:
            is_silent = switches.answers(name) is False
            return _Said(False, _on_and_silent(name)) if is_silent else _Said(True, "is on already")
        switch.power_on()
    except PowerError as failed:
        return _Said(False, str(failed))
    return _Said(True, "was asked to wake", was_asked=True)


def _on_and_silent(name: str) -> str:
    """Say what to do about a host that is on, as its BMC says: it may boot, hang with guests on it, or be off."""
    return (
        f"{name}: its BMC says that it is on, and its hypervisor does not answer; nothing was done. If it does not "
        f"come within minutes, look at its console: guests may run on it unseen. Where it is off and its BMC is wrong: "
        f"balancer power wake {name} --anyway. Where it hangs, switch it off and on through its BMC yourself"
    )


@app.command("test")
def prove(
    host: Annotated[str, typer.Argument(help="An empty host.")], site: SitePath = None, policy: PolicyPath = None
) -> int:
    """Prove that a BMC is its host's own and that the host wakes: shut it down softly, see it go and return."""
    lease_seconds = load_settings().lease_seconds
    with the_site(site) as opened, leading(opened, lease_seconds), err.status(f"testing {host} ..."):
        rules = the_policy(policy, opened.name).at(opened.clock.now())
        _known(opened.acting.switches, host)
        try:
            result = prove_power(opened.acting, host, limits_of(rules))
        except BalancerError as failed:
            err.print(Text(str(failed), style="red"))
            return ERROR
    out.print(Text(str(result), style="green" if result.passed else "red"))
    return DONE if result.passed else ERROR


@app.command()
def savings(
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days back from today.")] = 30,
    monthly: Annotated[bool, typer.Option("--monthly", help="By month, not by day.")] = False,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,
    site: SitePath = None,
) -> int:
    """Say what the cluster took and what sleeping saved: kWh, money, CO2, and whether hosts were woken in time."""
    with the_site(site) as opened:
        periods = accounting.savings(opened.acting.store, opened.clock.now().date(), days, monthly)
    if format is Format.JSON:
        sys.stdout.write(savings_json(periods) + "\n")
    elif periods:
        out.print(savings_table(periods))
    else:
        out.print("the accounts are empty: they are kept by `balancer run`, from its second cycle on")
    return DONE
