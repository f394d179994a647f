"""The energy accounts, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from balancer.domain.energy import Energy, Period


def savings_table(periods: Sequence[Period]) -> Table:
    """Return a row a period; what nobody measured or said a price of stays empty."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for title in ("kWh", "without balancer", "saved", "all on", "measured", "hours asleep", "woken in time", "late"):
        table.add_column(title, justify="right")
    table.add_column("saved money")
    table.add_column("CO2", justify="right")
    for period in periods:
        energy, wakes = period.energy, period.wakes
        table.add_row(
            period.name,
            f"{energy.kwh:.1f}",
            f"{energy.kwh_alone:.1f}",
            _saved(energy),
            f"{energy.kwh_all_on:.1f}",
            _measured(energy),
            f"{energy.hours_asleep:.0f}",
            str(wakes.in_time or ""),
            str(wakes.late + wakes.failed or "") + (f" ({wakes.failed} never came)" if wakes.failed else ""),
            ", ".join(f"{amount:.2f} {currency}".strip() for currency, amount in period.money.items()),
            f"{period.co2_kg:.0f} kg" if period.co2_kg else "",
        )
    return table


def _saved(energy: Energy) -> str:
    share = energy.saved_kwh / energy.kwh_alone if energy.kwh_alone else 0.0
    return f"{energy.saved_kwh:.1f} ({share:.0%})"


def _measured(energy: Energy) -> str:
    """Say what BMCs measured, and how far the curves were from it for the same hosts and times."""
    if not energy.kwh_measured:
        return ""
    return f"{energy.kwh_measured:.1f} ({energy.kwh_modelled / energy.kwh_measured - 1:+.0%} by curve)"


def savings_json(periods: Sequence[Period]) -> str:
    """Return the periods as a JSON list."""
    return json.dumps([_plain(period) for period in periods], indent=2)


def _plain(period: Period) -> dict[str, Any]:
    energy, wakes = period.energy, period.wakes
    return {
        "period": period.name,
        "kwh": energy.kwh,
        "kwh_all_on": energy.kwh_all_on,
        "kwh_without_balancer": energy.kwh_alone,
        "kwh_saved": energy.saved_kwh,
        "kwh_measured": energy.kwh_measured,
        "host_hours_on": energy.hours_on,
        "host_hours_asleep": energy.hours_asleep,
        "money_saved": dict(period.money),
        "co2_kg_saved": period.co2_kg,
        "wakes_in_time": wakes.in_time,
        "wakes_late": wakes.late,
        "wakes_failed": wakes.failed,
    }
