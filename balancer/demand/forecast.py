"""What guests will need some time ahead, and how sure that is.

need at now + h = sum over methods of weight * what the method says
weight          ~ (mean squared error that the method made in the last day) ^ -8
sigma^2         = mean of the squared errors that this sum made in the last day
                + a quarter of the variance of the last days: what a quiet day has not shown
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

import numpy as np
import numpy.typing as npt

from balancer.demand.diary import DAYS, SLOTS_A_DAY, Diary, Floats, without_starts
from balancer.demand.methods import SATURDAY, levels, season
from balancer.demand.wall_clock import by_the_wall_clock, slots_turned, weekdays_after

HORIZONS: Final[Mapping[str, int]] = {"5m": 1, "15m": 3, "1h": 12, "8h": 96}
"""In slots: the next look, a host that boots, the rise of a morning, the night."""

LONGEST: Final = max(HORIZONS.values())
PREFERENCE: Final = 8  # how much a method that errs less is preferred: a tenth less error, twice the weight
SHARE_OF_OTHER_DAYS: Final = 0.25
LEAST_SIGMA_OF_VCPU: Final = 0.01  # an idle guest may always wake up
TINY: Final = np.float32(1e-9)

# How much the quantiles of what was simply needed, lately and at this time of other days, count beside the errors of
# the methods. Far ahead, what has happened at this hour says more than how the methods fared. Measured on the traces.
SHARE_OF_PLAIN: Final[Mapping[str, float]] = {"5m": 0.0, "15m": 0.3, "1h": 0.6, "8h": 0.9}


@dataclass(frozen=True)
class Forecast:
    """By guest: mean and sigma in cores, and the errors that it would have made in each slot of the last day."""

    horizon: str
    mean: Floats
    sigma: Floats
    errors: Floats
    readings: npt.NDArray[np.int64]


class Forecaster:
    """Forecasts for some guests as of now: what all horizons share is found once."""

    def __init__(
        self, diary: Diary, keys: Sequence[str], vcpus: Sequence[int], now: datetime, zone: tzinfo = UTC
    ) -> None:
        self._vcpus = np.array(vcpus, dtype=np.float32)
        self._now, self._zone = now, zone
        self._cores = by_the_wall_clock(without_starts(diary.of(keys, DAYS * SLOTS_A_DAY)), now, zone)
        weekdays = weekdays_after(now, zone)
        yesterdays = (weekdays - 1) % 7
        self._levels = levels(self._cores[-(2 * SLOTS_A_DAY + LONGEST) :])
        self._season_of_last_day = season(self._cores[:-SLOTS_A_DAY], yesterdays)
        self._weekdays = weekdays
        self._spread = _variance(self._cores[::3])  # each third reading tells it as well
        self.readings = (~np.isnan(self._cores[-SLOTS_A_DAY:])).sum(axis=0)

    def at(self, horizon: str) -> Forecast:
        """Forecast for one horizon; a guest without readings has NaN for its mean."""
        ahead = HORIZONS[horizon]
        happened = self._cores[-SLOTS_A_DAY:]
        errors, says = [], []
        for level in self._levels.values():
            errors.append(happened - level[-SLOTS_A_DAY - ahead : -ahead])
            says.append(level[-1])
        slow = self._levels["half a day"]
        errors.append(happened - _filled(self._season_of_last_day, slow[-SLOTS_A_DAY - ahead : -ahead]))
        then = max(1, ahead + slots_turned(self._now, ahead, self._zone))
        to_come = season(self._cores[SLOTS_A_DAY:], self._weekdays, slice(then - 1, then))
        says.append(_filled(to_come[0], slow[-1]))
        weights = _weights([_mean_square(error) for error in errors])
        error = sum((w * e for w, e in zip(weights, errors, strict=True)), np.zeros_like(happened))
        mean = sum((w * say for w, say in zip(weights, says, strict=True)), np.zeros_like(says[0]))
        if self._is_of_another_kind_than_yesterday(then):
            mean = self._risen(mean, to_come[0])
        variance = np.nan_to_num(_mean_square(error), nan=0.0) + SHARE_OF_OTHER_DAYS * self._spread
        sigma = np.maximum(np.sqrt(variance), LEAST_SIGMA_OF_VCPU * self._vcpus)
        return Forecast(horizon, np.maximum(mean, 0.0), sigma.astype(np.float32), error, self.readings)

    def _is_of_another_kind_than_yesterday(self, then: int) -> bool:
        """Whether the methods were tried on a weekend and then it is Monday, or the other way round.

        A quiet Sunday does not tell them apart, and then a Monday would count for a sixth.
        """
        weekday = int(self._weekdays[then - 1])
        return (weekday >= SATURDAY) != ((weekday - 1) % 7 >= SATURDAY)

    def _risen(self, mean: Floats, season_then: Floats) -> Floats:
        """Return the mean, and by how much the season rises until then in full, up to the season itself.

        The season alone would contradict what is seen: who has not come on this Monday need not be expected all day.
        """
        rise = season_then - _filled(self._season_of_last_day[-1], season_then)
        risen: Floats = np.fmax(mean, np.fmin(season_then, mean + np.maximum(rise, 0.0)))
        return risen

    def quantiles(self, forecast: Forecast, shares: Sequence[float]) -> list[Floats]:
        """Return for each share the cores that a guest will not exceed with this probability."""
        erring = [np.nan_to_num(error) for error in _weighted_quantiles(forecast.errors, np.ones(SLOTS_A_DAY), shares)]
        if not SHARE_OF_PLAIN[forecast.horizon]:
            return [np.maximum(forecast.mean + error, 0.0) for error in erring]
        plain = SHARE_OF_PLAIN[forecast.horizon] * self._left_open(forecast)
        needed = _weighted_quantiles(*self._needed_lately(HORIZONS[forecast.horizon]), shares)
        return [
            np.maximum((1 - plain) * (forecast.mean + error) + plain * _filled(need, forecast.mean + error), 0.0)
            for error, need in zip(erring, needed, strict=True)
        ]

    def _left_open(self, forecast: Forecast) -> Floats:
        """Return which share of what a guest did in the last day its forecasts would not have told.

        One whose ways are known is told by them, and what was simply needed has little to add.
        """
        did = np.maximum(_variance(self._cores[-SLOTS_A_DAY:]), TINY)
        return np.clip(np.nan_to_num(_mean_square(forecast.errors) / did, nan=1.0), 0.0, 1.0)

    def _needed_lately(self, ahead: int) -> tuple[Floats, npt.NDArray[np.float64]]:
        """Return readings of the last day, the newest most, and of this time on other days, with their weights."""
        ages = np.arange(SLOTS_A_DAY)[::-1]
        lately = sum(
            share * _normal(0.5 ** (ages / half)) for share, half in ((0.4, 1 + ahead / 2), (0.2, 24), (0.2, 288))
        )
        same_time = [
            np.arange(end - 3, end + 4)
            for days in range(1, DAYS)
            if (end := len(self._cores) - 1 + ahead - days * SLOTS_A_DAY) + 3 < len(self._cores) and end >= 3
        ]
        fading = np.repeat([0.8**age for age in range(len(same_time))], 7)
        share = {1: 0.0, 3: 0.1, 12: 0.2}.get(ahead, 0.8)
        rows = np.concatenate([np.arange(len(self._cores) - SLOTS_A_DAY, len(self._cores)), *same_time])
        return self._cores[rows], np.concatenate([lately, share * _normal(fading)])


def _filled(wanted: Floats, otherwise: Floats) -> Floats:
    return np.where(np.isnan(wanted), otherwise, wanted)


def _mean_square(errors: Floats) -> Floats:
    known = ~np.isnan(errors)
    total = np.where(known, errors, 0.0)
    count = known.sum(axis=0)
    found: Floats = np.where(count > 0, np.einsum("sg,sg->g", total, total) / np.maximum(count, 1), np.nan)
    return found


def _variance(cores: Floats) -> Floats:
    known = ~np.isnan(cores)
    count = np.maximum(known.sum(axis=0), 1)
    values = np.where(known, cores, np.float32(0.0))
    mean = values.sum(axis=0, dtype=np.float64) / count
    squares = np.einsum("sg,sg->g", values, values, dtype=np.float64) / count
    return np.asarray(np.maximum(squares - mean**2, 0.0), dtype=np.float32)


def _weights(mean_squares: Sequence[Floats]) -> npt.NDArray[np.float32]:
    """Return the weight of each method for each guest. One that was never tried counts only where none was."""
    tried = np.stack([np.where(np.isnan(each), np.float32(np.inf), each + TINY) for each in mean_squares])
    best = tried.min(axis=0)
    weights = np.divide(best, tried, out=np.ones_like(tried), where=np.isfinite(best)) ** PREFERENCE
    return np.asarray(weights / weights.sum(axis=0), dtype=np.float32)


def _normal(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return weights / max(float(weights.sum()), 1e-12)


def _weighted_quantiles(values: Floats, weights: npt.NDArray[np.float64], shares: Sequence[float]) -> list[Floats]:
    """Return for each share the least value that covers it, by column; gaps weigh nothing."""
    order = np.argsort(values, axis=0)  # NaN comes last
    rising = np.take_along_axis(values, order, axis=0)
    covered = np.cumsum(np.where(np.isnan(rising), 0.0, weights[order]), axis=0)
    found = []
    for share in shares:
        place = np.minimum((covered < share * covered[-1] - 1e-9).sum(axis=0), len(values) - 1)
        found.append(np.take_along_axis(rising, place[None, :], axis=0)[0])
    return found
