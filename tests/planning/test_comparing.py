"""Two policies side by side: what differs in words, in deeds and in what each thinks of the other."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from balancer.domain.comparison import Comparison, Destination
from balancer.formats.reading import read_text
from balancer.planning import make_plan
from balancer.planning.comparing import compare
from balancer.policy import Policy
from balancer.reporting.comparison import comparison_text
from tests.drawing import cluster

SEEN = cluster("h1 64: a=8/4 b=8/4 | h2 64: c=8/1")


def policy(text: str) -> Policy:
    return read_text(f"schema: balancer.policy/1\n{text}", Policy, "p.yaml")


EVEN = policy("name: even\nobjectives: {even_load: {weight: 1.0}}\n")
SAVING = policy(
    "name: saving\nobjectives: {even_load: {weight: 0.1}, least_power: {weight: 1.0}}\n"
    "constraints: [{kind: apart, name: ab, vms: [a, b], hard: false, weight: 0.1}]\n"
)


def both(one: Policy, other: Policy) -> Comparison:
    return compare(SEEN, (one, other), (make_plan(SEEN, one), make_plan(SEEN, other)))


def test_what_each_would_do_and_what_the_other_thinks_of_it() -> None:
    found = both(EVEN, SAVING)
    assert not found.same_plan
    assert (found.first.hosts_on, found.second.hosts_on) == (2, 1)
    assert found.first.to_sleep == () and found.second.to_sleep == ("h2",)
    assert found.first.objective_under_first < found.second.objective_under_first
    assert found.second.objective_under_second < found.first.objective_under_second
    differing = {(setting.path, setting.first, setting.second) for setting in found.settings}
    assert ("objectives.even_load.weight", 1.0, 0.1) in differing
    assert [(each.promise, each.first) for each in found.promises] == [("ab", None)]
    assert found.promises[0].second == "{kind: apart, hard: false, weight: 0.1, vms: [a, b]}"
    moved = {each.vm: each for each in found.destinations}
    assert moved["c"] == Destination(vm="c", now="h2", first="h2", second="h1")


def test_a_policy_does_what_itself_does() -> None:
    found = both(EVEN, EVEN)
    assert found.same_plan
    assert (found.settings, found.promises, found.destinations) == ((), (), ())


def test_promises_of_one_that_the_other_breaks() -> None:
    strict = policy(
        "name: strict\nconstraints: [{kind: stay, name: put, vms: [c]}, {kind: apart, name: ab, vms: [a, c]}]\n"
    )
    found = both(strict, SAVING)
    assert found.second.breaks_of_first == ("ab",)
    assert found.first.breaks_of_first == ()


def test_it_reads_side_by_side() -> None:
    console = Console(width=80, file=StringIO(), record=True)
    console.print(comparison_text(both(EVEN, SAVING)))
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert lines[0] == "even and saving would not do the same on drawn"
    assert any(line.split() == ["hosts", "on", "2", "1;", "h2", "sleeps"] for line in lines)
