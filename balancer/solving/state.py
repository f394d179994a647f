"""A placement while it is being searched: what each relocation would change is kept up to date, not worked out anew."""

from __future__ import annotations

import numpy as np

from balancer.solving.arrays import Arrays, Bools, Floats, Ints, every
from balancer.solving.groups import Groups
from balancer.solving.score import Solution, added_cost, load_cost, load_of

NEVER = np.inf


class State:
    """A placement, its loads, and for each unit and host the cost of going there.

    arriving[u, h]: what u costs on h more than h costs without it; infinite where u may not go now
    leaving[u]:     what its host costs less without u, negative
    The change of J by a relocation is arriving[u, h] + leaving[u].
    """

    def __init__(self, arrays: Arrays, start: Solution) -> None:
        self.arrays = arrays
        self.at, self.on = start.at.copy(), start.on.copy()
        self.closing = np.zeros(len(self.on), dtype=bool)  # hosts being emptied take nothing
        self.load = load_of(arrays, self.at)
        away = self.at != arrays.home
        self.guests_left = arrays.max_guests - float(arrays.guests[away].sum())
        self.mib_left = arrays.max_mib - float(arrays.mib[away].sum())
        self.groups = Groups(arrays, self.at)
        self.arriving = np.empty(arrays.allowed.shape, order="F")  # what is worked out anew is one host's column
        self.leaving = np.empty(len(self.at))
        self._scratch: Floats | None = None
        self._takes_nobody = np.zeros(len(self.on), dtype=bool)  # hosts whose columns say so already
        for host in range(len(self.on)):
            self.refresh_host(host)

    def solution(self) -> Solution:
        """Return the placement as it stands."""
        return Solution(self.at.copy(), self.on.copy())

    def copy(self) -> State:
        """Return a second one that can be changed freely."""
        twin = object.__new__(State)
        twin.__dict__.update(self.__dict__)
        for name in ("at", "on", "closing", "load", "arriving", "leaving", "_takes_nobody"):
            setattr(twin, name, getattr(self, name).copy(order="K"))
        twin.groups = self.groups.copy()
        twin._scratch = None
        return twin

    # -- asking

    @property
    def blocked(self) -> Bools:
        """Where a unit's groups do not let it go."""
        return self.groups.blocked

    @property
    def grouping(self) -> Floats:
        """What a unit's soft groups make of each host, against where it is."""
        return self.groups.cost

    def affordable(self) -> Bools:
        """Which units may leave their place: those away from home already, and those the budget still covers."""
        arrays = self.arrays
        if not arrays.has_budget:
            return np.ones(len(self.at), dtype=bool)
        within = (arrays.guests <= self.guests_left) & (arrays.mib <= self.mib_left + 1e-6)
        return np.asarray(within | (self.at != arrays.home), dtype=bool)

    def changes(self) -> Floats:
        """Return the change of J by each relocation, infinite where it is not legal."""
        out = np.where(self.affordable(), self.leaving, NEVER)
        return np.asarray(self.arriving + out[:, None], dtype=np.float64)

    def steepest(self) -> tuple[int, int, float]:
        """Return the relocation that lowers J most, and by how much it changes J; it may be infinite."""
        if self.arriving.size == 0:
            return 0, 0, NEVER
        out = np.where(self.affordable(), self.leaving, NEVER)
        if self._scratch is None:
            self._scratch = np.empty_like(self.arriving)
        np.add(self.arriving, out[:, None], out=self._scratch)
        # Hosts are the slow axis in memory.
        host, unit = divmod(int(self._scratch.T.argmin()), len(out))
        return unit, host, float(self._scratch[unit, host])

    def has_room(self, unit: int, host: int) -> bool:
        """Whether a unit fits on a host, by its limits and its groups; a host over its limit takes nothing."""
        arrays = self.arrays
        fits = self.load[host] + arrays.need[unit] <= arrays.ceiling[host]
        return bool((fits | arrays.idle_need[unit]).all() and not self.blocked[unit, host])

    def units_on(self, host: int) -> list[int]:
        return [int(unit) for unit in np.flatnonzero(self.at == host)]

    # -- changing

    def relocate(self, unit: int, host: int) -> None:
        """Put a unit on another host."""
        source = int(self.at[unit])
        self._spend(unit, host)
        self.at[unit] = host
        self.load[source] -= self.arrays.need[unit]
        self.load[host] += self.arrays.need[unit]
        mates = self.groups.relocated(unit, source, host, self.at)
        self.refresh_host(source)
        self.refresh_host(host)
        if len(mates):
            self._refresh_units(np.append(mates, unit))
        else:
            self._refresh_unit(unit)

    def switch(self, host: int, on: bool) -> None:
        """Switch a host on or off."""
        self.on[host] = on
        self.refresh_host(host)

    def close(self, host: int, closing: bool = True) -> None:
        """Let a host take nothing from now on, or open it again."""
        self.closing[host] = closing
        self.refresh_host(host)

    def _spend(self, unit: int, host: int) -> None:
        arrays, home = self.arrays, self.arrays.home[unit]
        step = int(host != home) - int(self.at[unit] != home)
        self.guests_left -= step * float(arrays.guests[unit])
        self.mib_left -= step * float(arrays.mib[unit])

    # -- keeping up to date

    def refresh_host(self, host: int) -> None:
        """Work out anew what arriving at a host and leaving it costs."""
        arrays, load = self.arrays, self.load[host]
        is_here = self.at == host
        if self.on[host] and not self.closing[host]:
            never = arrays.closed_to[:, host] | is_here
            for resource in range(len(load)):
                room = arrays.ceiling[host, resource] - load[resource]
                never |= arrays.need[:, resource] > max(room, 0.0)
            costs = added_cost(arrays, host, load, arrays.need, arrays.need_squared)
            costs += arrays.place_cost[:, host]
            if self.groups.has_any:
                never |= self.blocked[:, host]
                costs += self.grouping[:, host]
            costs[never] = NEVER
            self.arriving[:, host] = costs
            self._takes_nobody[host] = False
        elif not self._takes_nobody[host]:
            self.arriving[:, host] = NEVER
            self._takes_nobody[host] = True
        here = np.flatnonzero(is_here)
        without = added_cost(arrays, host, load, -arrays.need[here], arrays.need_squared[here])
        self.leaving[here] = without - arrays.place_cost[here, host]

    def _refresh_unit(self, unit: int) -> None:
        """Work out anew where one unit may go: the same as below, without the weight of many."""
        arrays, need = self.arrays, self.arrays.need[unit]
        never = arrays.closed_to[unit] | ~self.on | self.closing
        costs = self.arrays.place_cost[unit].copy()
        for resource, amount in enumerate(need.tolist()):
            with_unit = self.load[:, resource] + amount
            if amount != 0.0:
                never |= with_unit > arrays.ceiling[:, resource]
        costs += load_cost(arrays, self.load + need) - load_cost(arrays, self.load)
        if self.groups.has_any:
            never |= self.blocked[unit]
            costs += self.grouping[unit]
        never[self.at[unit]] = True
        costs[never] = NEVER
        self.arriving[unit] = costs

    def _refresh_units(self, units: Ints) -> None:
        """Work out anew where some units may go and what they cost there."""
        arrays, need = self.arrays, self.arrays.need[units][:, None, :]
        with_unit = self.load + need
        fits = every((with_unit <= arrays.ceiling) | arrays.idle_need[units][:, None, :])
        legal = fits & arrays.allowed[units] & ~self.blocked[units] & (self.on & ~self.closing)
        legal &= ~arrays.held[units][:, None]
        legal[np.arange(len(units)), self.at[units]] = False
        costs = load_cost(arrays, with_unit) - load_cost(arrays, self.load)
        self.arriving[units] = np.where(legal, costs + arrays.place_cost[units] + self.grouping[units], NEVER)
