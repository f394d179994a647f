"""Losses in a linear model: the room that is left, in sum, holds the guests of whatever is lost.

sum over hosts that take guests of (room * on - load) >= sum over the k largest domains of
    (room that is lost with it  +  load of the guests that are started again)          for every resource

Every placement with a place for each guest obeys it, so a bound stays a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pulp

from balancer.solving.arrays import Arrays
from balancer.solving.losses import Loss


def need_room_for_losses(
    model: Any,
    name: str,
    arrays: Arrays,
    loss: Loss,
    on: Sequence[Any],
    load: Callable[[int, int], Any],
    short: Any = 0.0,
) -> None:
    """Add the rows of one promise; `load` gives the load of a host and resource in the resource's own unit.

    short: how much may be missing, in hosts of average size
    """
    started_again = np.zeros(len(arrays.units), dtype=bool)
    started_again[loss.unit[loss.unit >= 0]] = True
    if not started_again.all():
        return  # how much of an arriving load would be started again is not known to a model in sums
    for column, resource in enumerate(loss.columns.tolist()):
        size = max(float(arrays.usable[:, resource].mean()), 1e-9)
        spare = [_spare(model, f"{name}_{column}", arrays, loss, on, load, host, column) for host in range(len(on))]
        left = model.add_variable(f"left_{name}_{column}")
        model += left == pulp.lpSum(spare) * (1 / size)
        impacts = [_impact(arrays, loss, on, load, hosts.tolist(), column, spare) for hosts in loss.domains]
        if loss.failures == 1:
            for impact in impacts:
                model += left + short >= impact * (1 / size)
            continue
        # The sum of the k largest: k t + sum of what is above t, at the best t.
        level = model.add_variable(f"level_{name}_{column}")
        above = [model.add_variable(f"above_{name}_{column}_{place}", 0) for place in range(len(impacts))]
        for over, impact in zip(above, impacts, strict=True):
            model += over >= impact * (1 / size) - level
        model += left + short >= min(loss.failures, len(impacts)) * level + pulp.lpSum(above)


def _spare(
    model: Any,
    name: str,
    arrays: Arrays,
    loss: Loss,
    on: Sequence[Any],
    load: Callable[[int, int], Any],
    host: int,
    column: int,
) -> Any:
    """Room that a host has left; one that is surely off, or takes nobody, has none.

    A host may be fuller than a reserve may make it: its room is 0 then and not less, which is no linear thing. The line
    from its fullest (nothing left) to its emptiest (all its room) lies above, so a bound stays a bound.
    """
    if not loss.takes[host] or (isinstance(on[host], int) and not on[host]):
        return 0.0
    resource, room = int(loss.columns[column]), float(loss.room[host, column])
    least = room - float(arrays.fixed[host, resource])
    fullest = max(float(arrays.ceiling[host, resource]), float(arrays.load_today[host, resource]))
    fullest = min(fullest, float(arrays.fixed[host, resource] + arrays.need[:, resource].sum()))
    left = room * on[host] - load(host, resource)
    if fullest <= room or least <= 0:
        return left if least > 0 else 0.0
    spare = model.add_variable(f"spare_{name}_{host}", 0)
    size = max(float(arrays.usable[:, resource].mean()), 1e-9)
    slope = least / (least + fullest - room)
    model += spare <= slope / size * (left + (fullest - room) * on[host])
    return size * spare


def _impact(
    arrays: Arrays,
    loss: Loss,
    on: Sequence[Any],
    load: Callable[[int, int], Any],
    hosts: Sequence[int],
    column: int,
    spare: Sequence[Any],
) -> Any:
    """What losing a domain takes: the room that is lost with it, and what its guests need elsewhere."""
    resource = int(loss.columns[column])
    alive = [host for host in hosts if not (isinstance(on[host], int) and not on[host])]
    again = [load(host, resource) - float(arrays.fixed[host, resource]) * on[host] for host in alive]
    stay = (loss.unit < 0) & (loss.safe_on < 0) & np.isin(loss.host, alive)
    return pulp.lpSum(spare[host] for host in alive) + pulp.lpSum(again) + float(loss.need[stay, column].sum())
