"""How long plans take on crowded clusters, beside what such moves take at least.

python -m tests.bench.tight 32x500 0.92 --wishes balance,both --seeds 1,2,3,4,5
"""

from __future__ import annotations

import argparse
import time

from balancer.domain.plan import Because
from balancer.planning import make_plan, verify
from tests.bench.clusters import BenchCase, cluster_of
from tests.bench.wishes import WISHES, Wish

HEAD = "| seed | weighting | moves | GiB | takes s | at least s | ratio | no safe order | J falls by | CPU s |"


def main() -> None:
    """Print a line for each seed and wish."""
    asked = _asked()
    hosts, vms = (int(number) for number in asked.size.split("x"))
    print(HEAD)
    for seed in asked.seeds.split(","):
        case = BenchCase(hosts, vms, seed=int(seed), memory_fill=asked.fill)
        for wish in (wish for wish in WISHES if wish.name in asked.wishes.split(",")):
            print(_line(case, wish), flush=True)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tight", description=__doc__)
    parser.add_argument("size", help="hosts x guests: 32x500")
    parser.add_argument("fill", type=float, help="share of the memory that is in use: 0.92")
    parser.add_argument("--wishes", default="balance,both")
    parser.add_argument("--seeds", default="1,2,3,4,5")
    return parser.parse_args()


def _line(case: BenchCase, wish: Wish) -> str:
    cluster, policy = cluster_of(case), wish.policy(case)
    begun = time.process_time()
    plan = make_plan(cluster, policy)
    took = time.process_time() - begun
    objections = verify(plan, cluster, policy)
    assert not objections, objections
    summary = plan.summary
    stuck = sum(kept.because is Because.NO_SAFE_ORDER for kept in plan.kept)
    ratio = summary.seconds_to_run / summary.seconds_at_least if summary.moves else 1.0
    fall = summary.objective_before - summary.objective_after
    return (
        f"| {case.seed} | {wish.name} | {summary.moves} | {summary.gib_to_move:.0f} | {summary.seconds_to_run:.0f} "
        f"| {summary.seconds_at_least:.0f} | {ratio:.2f} | {stuck} | {fall:.5f} | {took:.1f} |"
    )


if __name__ == "__main__":
    main()
