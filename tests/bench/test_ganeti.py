"""Ganeti's tools are given our cluster, and what they want is read as they mean it."""

from __future__ import annotations

import sys

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, MEMORY
from balancer.domain.placement import Placement
from tests.bench import ganeti
from tests.bench.clusters import BenchCase, cluster_of
from tests.bench.limited import run_limited
from tests.bench.peers import HBAL, HSQUEEZE, PeerTask, ask_peer
from tests.bench.rules import CPU_SHARE, MEMORY_SHARE
from tests.bench.wishes import BALANCE, FEWEST

CASE = BenchCase(8, 80, 1)

SAID_BY_HBAL = """
Commands to run to reach the above solution:

  echo jobset 1, 2 jobs
    echo job 1/1
    gnt-instance migrate -f -n h00001 vm000000
    echo job 1/2
    gnt-instance migrate -f -n h00002 vm000003

  echo jobset 2, 1 jobs
    echo job 2/1
    gnt-instance migrate -f -n h00003 vm000000
"""
SAID_BY_HSQUEEZE = """'Nodes to offline'
h00002
h00007

Commands to run:
  echo jobset 1, 1 jobs
    echo job 1/1
    gnt-instance migrate -f -n h00003 vm000001
"""

needs_hbal = pytest.mark.skipif(not ganeti.is_installed("hbal"), reason=f"hbal is {ganeti.NOT_INSTALLED}")


def read_back(text: str) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[str, float, float]]]:
    """Return what guests may use on each host, and the host and needs of each guest, as the file says it."""
    _, nodes, instances, *_ = text.split("\n\n")
    room, guests = {}, {}
    for line in nodes.splitlines():
        name, total, own, free, _, _, cpus, *_ = line.split("|")
        room[name] = (float(cpus) / ganeti.PARTS_OF_A_CORE, float(total) - float(own))
        assert 0 < float(free) <= float(total) - float(own)
    for line in instances.splitlines():
        name, memory, _, cpus, _, _, host, *_ = line.split("|")
        guests[name] = (host, float(cpus) / ganeti.PARTS_OF_A_CORE, float(memory))
    return room, guests


def test_a_cluster_comes_back_from_the_text_format_as_it_was() -> None:
    cluster = cluster_of(CASE)
    room, guests = read_back(ganeti.text_data(cluster))
    for host in cluster.hosts:
        # They want one MiB to stay free where we do not.
        most = int(MEMORY_SHARE * host.usable(MEMORY)) + 1
        assert room[host.name] == (host.usable(CPU), most)
    for vm in cluster.vms:
        at, cores, memory_mib = guests[vm.name]
        assert (at, memory_mib) == (vm.host, vm.memory_mib) and cores == pytest.approx(vm.need(CPU))


def test_the_headroom_of_cpu_is_a_ratio_in_their_policy() -> None:
    assert all(f"|{CPU_SHARE}|" in line for line in ganeti.text_data(cluster_of(CASE)).splitlines()[-2:])


def test_the_commands_of_hbal_are_moves_in_their_order() -> None:
    assert ganeti.moves_in(SAID_BY_HBAL) == [("vm000000", "h00001"), ("vm000003", "h00002"), ("vm000000", "h00003")]


def test_a_guest_that_moves_twice_is_where_it_goes_last() -> None:
    cluster = cluster_of(CASE)
    wanted = ganeti.placement_in(SAID_BY_HBAL, cluster)
    assert (wanted.homes["vm000000"], wanted.homes["vm000003"]) == ("h00003", "h00002")
    assert wanted.on == Placement.of(cluster).on


def test_nodes_that_hsqueeze_puts_offline_are_off() -> None:
    cluster = cluster_of(CASE)
    wanted = ganeti.placement_in(SAID_BY_HSQUEEZE, cluster)
    assert Placement.of(cluster).on - wanted.on == {"h00002", "h00007"}
    assert wanted.homes["vm000001"] == "h00003"


def told_by_hbal(cluster: Cluster, directory: object) -> str:
    path = f"{directory}/cluster.data"
    with open(path, "w") as file:
        file.write(ganeti.text_data(cluster))
    return run_limited(["hbal", "--ignore-dynu", "-p", "-t", path], 60).output


@needs_hbal
def test_hbal_sees_the_loads_that_we_see(tmp_path: object) -> None:
    cluster = cluster_of(CASE)
    before = told_by_hbal(cluster, tmp_path).split("Final cluster status")[0]
    seen = {words[0]: words for words in map(str.split, before.splitlines()) if words and words[0].startswith("h0")}
    for host in cluster.hosts:
        ratio = float(seen[host.name][16])
        assert ratio == pytest.approx(cluster.utilisation(host, CPU), abs=0.0051)
        assert float(seen[host.name][3]) == cluster.used(host, MEMORY)


@needs_hbal
def test_what_hbal_wants_is_legal_and_more_even() -> None:
    cluster = cluster_of(CASE)
    found = ask_peer(PeerTask(CASE, HBAL, (BALANCE,), 60))
    scored = found.scored["balance"]
    assert scored.is_legal and scored.moves > 0 and scored.gib > 0
    assert scored.memory_deviation < cluster.imbalance(MEMORY) / 2
    assert scored.objective < BALANCE.policy(CASE).score(cluster, cluster)
    assert found.cpu_seconds > 0 and found.peak_mib > 1


@needs_hbal
def test_what_hsqueeze_wants_is_legal_and_leaves_fewer_hosts_on() -> None:
    scored = ask_peer(PeerTask(CASE, HSQUEEZE, (FEWEST,), 60)).scored["fewest"]
    assert scored.is_legal and scored.hosts_on < 8


def test_a_program_that_is_missing_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = ask_peer(PeerTask(CASE, HBAL, (BALANCE,), 60))
    assert found.scored == {} and found.why_none == "not installed: apt-get install ganeti-htools"


def test_a_program_that_takes_too_long_is_stopped_by_its_own_cpu_time() -> None:
    ran = run_limited(["sh", "-c", "while :; do :; done"], 1)
    assert not ran.has_ended and 0.5 < ran.cpu_seconds < 3


def test_a_program_that_ends_is_heard() -> None:
    ran = run_limited(["sh", "-c", "echo done"], 5)
    assert ran.has_ended and ran.output == "done\n"


def test_a_small_program_is_not_as_large_as_its_parent() -> None:
    held = bytearray(100 * 2**20)
    assert 0 < run_limited(["sleep", "0.2"], 5).peak_mib < 50 < len(held)


def test_a_large_program_is_as_large_as_it_is() -> None:
    code = "held = bytearray(300 * 2**20); held[::4096] = b'x' * len(held[::4096])"
    assert 300 < run_limited([sys.executable, "-c", code], 20).peak_mib < 400


@needs_hbal
def test_no_answer_in_time_is_said() -> None:
    found = ask_peer(PeerTask(BenchCase(32, 500, 1), HBAL, (BALANCE,), 1))
    assert found.scored == {} and found.why_none == "no answer in 1 CPU s"
