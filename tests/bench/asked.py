"""What to measure, as the command line says it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench import contests
from tests.bench.clusters import BenchCase
from tests.bench.measuring import Task
from tests.bench.peers import FULL_CBC, FULL_HIGHS, HBAL, HBAL_30, HBAL_FINE, HSQUEEZE, PeerTask
from tests.bench.wishes import BALANCE, FEWEST, WISHES

Size = tuple[int, int]

DEFAULT_SIZES: tuple[Size, ...] = ((8, 80), (32, 500), (64, 2000), (96, 10000))
LARGE_SIZES: tuple[Size, ...] = ((1000, 20000), (10000, 200000))
DEFAULT_SEEDS = (1, 2, 3, 4, 5)
QUICK_SIZES: tuple[Size, ...] = ((8, 80), (32, 500))
QUICK_SEEDS = (1,)

# A usual run is to end within minutes, and a proof, which looks at each state of a plan anew, takes longer than the
# plan. So larger clusters have rules with the first seed alone, and there, where most can go wrong, their only proofs.
LARGE_VMS = 1000

# The largest have the first seed alone, and no rules.
HUGE_VMS = 10_000

MOST_PEER_VMS = 2000  # beyond that no peer has an answer within an hour
HSQUEEZE_VMS = 500
PEER_SECONDS = 60


@dataclass(frozen=True)
class Asked:
    """Which clusters, what about them, and how many at once; `is_thorough` where large clusters are not spared.

    peer_seconds: CPU seconds that each peer may take for a cluster; 0 where peers are left out
    """

    sizes: tuple[Size, ...]
    seeds: tuple[int, ...]
    is_thorough: bool
    is_verified: bool
    jobs: int
    peer_seconds: int

    def tasks(self) -> list[Task]:
        """Return what there is to measure, in the order of the report."""
        return [
            Task(case, wish, is_verified=self._is_verified(case))
            for size in self.sizes
            for rules in (False, True)
            for wish in WISHES
            for case in self._cases(size, rules)
        ]

    def contest_tasks(self) -> list[Task]:
        """Return the plans to make for contests with peers, seed by seed."""
        if contests.SIZE not in self.sizes or not self.peer_seconds:
            return []
        cases = self._cases(contests.SIZE, rules=False)
        return [Task(case, contest.wish) for contest in contests.CONTESTS for case in cases]

    def peer_tasks(self) -> list[PeerTask]:
        """Return what peers are given: never rules, which they do not know, and of large clusters one alone."""
        if not self.peer_seconds:
            return []
        return [task for size in self.sizes if size[1] <= MOST_PEER_VMS for task in self._peer_tasks(size)]

    def _peer_tasks(self, size: Size) -> list[PeerTask]:
        is_contest = size == contests.SIZE
        cases = self._cases(size, rules=False)[: 1 if self._spares(size) else None]
        # They are asked once, and what they want is scored under each wish.
        under = (BALANCE, *(contest.wish for contest in contests.CONTESTS)) if is_contest else (BALANCE,)
        asked = [(HBAL, under), (HBAL_FINE, under), *([(HBAL_30, under)] if is_contest else [])]
        full = [(peer, (wish,)) for peer in (FULL_CBC, FULL_HIGHS) for wish in WISHES if is_contest]
        return [
            *(PeerTask(case, *one, self.peer_seconds) for one in asked for case in cases),
            *(PeerTask(case, HSQUEEZE, (FEWEST,), self.peer_seconds) for case in cases[: self._squeezed(size)]),
            *(PeerTask(cases[0], *one, self.peer_seconds) for one in full),
        ]

    def _squeezed(self, size: Size) -> int:
        """How many cases hsqueeze is given: one where it has no answer in time, to say so."""
        return len(self.seeds) if size[1] < HSQUEEZE_VMS else 1

    def _cases(self, size: Size, rules: bool) -> list[BenchCase]:
        if self._is_huge(size) and rules:
            return []
        is_spared = (rules and self._spares(size)) or self._is_huge(size)
        return [BenchCase(*size, seed, rules) for seed in (self.seeds[:1] if is_spared else self.seeds)]

    def _is_huge(self, size: Size) -> bool:
        return not self.is_thorough and size[1] > HUGE_VMS

    def _is_verified(self, case: BenchCase) -> bool:
        return self.is_verified and (case.rules or not self._spares((case.hosts, case.vms)))

    def _spares(self, size: Size) -> bool:
        return not self.is_thorough and size[1] > LARGE_VMS


def read_command(words: Sequence[str], cores: int) -> Asked:
    """Read the command line; explain it and exit where it cannot be understood."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure how good plans are and what they take."
    )
    parser.add_argument("--quick", action="store_true", help="8x80 and 32x500 with seed 1, to see that all is well")
    parser.add_argument("--large", action="store_true", help="1000x20000 and 10000x200000 as well, with seed 1")
    parser.add_argument("--sizes", type=sizes_from, help="hosts x guests: 8x80,32x500,64x2000")
    parser.add_argument("--seeds", type=seeds_from, help="1-5, or 1,3,8; each is then used for everything")
    parser.add_argument("--no-verify", action="store_true", help="leave the proofs out")
    parser.add_argument("--no-peers", action="store_true", help="leave other programs out")
    parser.add_argument(
        "--peer-seconds",
        type=number_from,
        default=PEER_SECONDS,
        help="CPU seconds for each peer and cluster (default 60)",
    )
    parser.add_argument("--jobs", type=number_from, default=cores, help="plans made side by side (default: one a core)")
    given = parser.parse_args(words)
    usual_sizes, usual_seeds = (QUICK_SIZES, QUICK_SEEDS) if given.quick else (DEFAULT_SIZES, DEFAULT_SEEDS)
    return Asked(
        sizes=given.sizes or (*usual_sizes, *(LARGE_SIZES if given.large else ())),
        seeds=given.seeds or usual_seeds,
        is_thorough=given.seeds is not None,
        is_verified=not given.no_verify,
        jobs=given.jobs,
        peer_seconds=0 if given.no_peers else given.peer_seconds,
    )


def sizes_from(text: str) -> tuple[Size, ...]:
    """Read `8x80,32x500`."""
    found = [re.fullmatch(r"\s*([1-9]\d*)x([1-9]\d*)\s*", part) for part in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"sizes are written 8x80,32x500, not {text!r}")
    return tuple(dict.fromkeys((int(size[1]), int(size[2])) for size in found if size))


def seeds_from(text: str) -> tuple[int, ...]:
    """Read `1-5`, `1,3` or both."""
    found = [re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part) for part in text.split(",")]
    spans = [range(int(span[1]), int(span[2] or span[1]) + 1) for span in found if span]
    if not all(found) or not all(spans):
        raise argparse.ArgumentTypeError(f"seeds are written 1-5 or 1,3, not {text!r}")
    return tuple(dict.fromkeys(seed for span in spans for seed in span))


def number_from(text: str) -> int:
    """Read a number from 1 on."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number from 1 on, not {text!r}")
    return int(text)
