"""How much guests have to do through the day. Each curve is a pure function: any time can be asked, in any order."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

Shape = Callable[[float, bool], float]
"""How busy a guest is, 0 to 1, at an hour of the day (UTC, 0 to 24) and on a weekend or not."""

_WOBBLE_SECONDS = 600.0  # how long a chance rise or fall of load lasts


def office_hours(hour: float, weekend: bool) -> float:
    """People come at eight, have lunch, and are gone by six."""
    at_work = _rise(hour, 8.2, 1.1) - _rise(hour, 17.5, 1.1)
    return (0.08 if weekend else 1.0) * at_work * (1.0 - 0.25 * _bump(hour, 12.6, 0.5))


def evening_shop(hour: float, weekend: bool) -> float:
    """Customers buy all day, a little more at noon and most in the evening."""
    noon, evening = 0.45 * _bump(hour, 12.5, 2.2), _bump(hour, 20.0, 2.0)
    awake = 0.55 * (_rise(hour, 7.8, 2.0) - _rise(hour, 22.8, 1.2))
    return min(1.0, (1.1 if weekend else 1.0) * max(awake + 0.4 * noon, evening))


def nightly(hour: float, weekend: bool) -> float:
    """Work that waits for the night."""
    return _rise(hour, 1.0, 0.15) - _rise(hour, 4.5, 0.4)


def always(hour: float, weekend: bool) -> float:
    """The same at any hour."""
    return 1.0


def _rise(hour: float, at: float, width: float) -> float:
    return 1.0 / (1.0 + math.exp((at - hour) * 3.0 / width))


def _bump(hour: float, at: float, width: float) -> float:
    return math.exp(-(((hour - at) / width) ** 2))


@dataclass(frozen=True)
class Habit:
    """What guests of one kind do: cores from `idle` at rest to `busy` at the height of their day, as shares of vCPUs.

    spikes: share of the time, at the height of the day, in which a guest runs flat out
    """

    shape: Shape
    idle: float
    busy: float
    wobble: float = 0.10
    spikes: float = 0.0

    def of(self, name: str, vcpus: int, seed: int) -> Curve:
        """Return the curve of one guest, which differs a little from that of its like."""
        return Curve(self, vcpus, zlib.crc32(f"{seed}/{name}".encode()))


@dataclass(frozen=True)
class Curve:
    """Cores that one guest would like to use, by time."""

    habit: Habit
    vcpus: int
    seed: int

    def __call__(self, when: datetime) -> float:
        habit, seconds = self.habit, when.timestamp()
        activity = habit.shape((seconds / 3600.0 + self._early_hours) % 24.0, when.astimezone(UTC).weekday() >= 5)
        place = seconds / _WOBBLE_SECONDS
        if habit.spikes and _chance(self.seed + 1, int(place)) < habit.spikes * activity:
            return 0.95 * self.vcpus
        drift = 1.0 + habit.wobble * (2.0 * _smooth_chance(self.seed, place) - 1.0)
        return self.vcpus * min(1.0, (habit.idle + (habit.busy - habit.idle) * activity) * self._size * drift)

    @property
    def _early_hours(self) -> float:
        """How much before its like a guest begins its day: up to a quarter of an hour."""
        return (self.seed % 1000 / 1000.0 - 0.5) * 0.5

    @property
    def _size(self) -> float:
        """How much more or less than its like a guest has to do: up to a quarter."""
        return 0.75 + 0.5 * (self.seed // 1000 % 1000) / 1000.0


def _smooth_chance(seed: int, place: float) -> float:
    """Return a number from 0 to 1 that drifts from one whole place to the next."""
    step = math.floor(place)
    part = place - step
    return (1.0 - part) * _chance(seed, step) + part * _chance(seed, step + 1)


def _chance(seed: int, step: int) -> float:
    """Return a number from 0 to 1 that looks drawn, and is always the same for a seed and a step.

    The finaliser of SplitMix64: neighbours in either argument come out unrelated.
    """
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ (mixed >> 31)) / 2**64
