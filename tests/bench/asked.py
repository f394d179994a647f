"""What to measure, as the command line says it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.clusters import BenchCase
from tests.bench.measuring import WISHES, Task

Size = tuple[int, int]

DEFAULT_SIZES: tuple[Size, ...] = ((8, 80), (32, 500), (64, 2000))
DEFAULT_SEEDS = (1, 2, 3, 4, 5)
QUICK_SIZES: tuple[Size, ...] = ((8, 80), (32, 500))
QUICK_SEEDS = (1,)

# A proof looks at each state of a plan anew, so that it takes longer than the plan: of large clusters the plan of the
# first seed alone is proved.
PROVE_ALL_UP_TO_VMS = 1000


@dataclass(frozen=True)
class Asked:
    """Which clusters, and how many at once."""

    sizes: tuple[Size, ...]
    seeds: tuple[int, ...]
    jobs: int

    def tasks(self) -> list[Task]:
        """Return what there is to measure, in the order of the report."""
        return [
            Task(
                BenchCase(hosts, vms, seed, rules),
                wish,
                is_verified=vms <= PROVE_ALL_UP_TO_VMS or seed == self.seeds[0],
            )
            for hosts, vms in self.sizes
            for rules in (False, True)
            for wish in WISHES
            for seed in self.seeds
        ]


def read_command(words: Sequence[str], cores: int) -> Asked:
    """Read the command line; explain it and exit where it cannot be understood."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure how good plans are and what they take."
    )
    parser.add_argument("--quick", action="store_true", help="8x80 and 32x500 with seed 1, to see that all is well")
    parser.add_argument("--sizes", type=sizes_from, help="hosts x guests: 8x80,32x500,64x2000")
    parser.add_argument("--seeds", type=seeds_from, help="1-5, or 1,3,8")
    parser.add_argument("--jobs", type=jobs_from, default=cores, help="plans made side by side (default: one a core)")
    given = parser.parse_args(words)
    usual_sizes, usual_seeds = (QUICK_SIZES, QUICK_SEEDS) if given.quick else (DEFAULT_SIZES, DEFAULT_SEEDS)
    return Asked(given.sizes or usual_sizes, given.seeds or usual_seeds, given.jobs)


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


def jobs_from(text: str) -> int:
    """Read how many plans to make side by side."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number from 1 on, not {text!r}")
    return int(text)
