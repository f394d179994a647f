"""Ganeti's `hbal` and `hsqueeze` on our clusters: the same cluster in their text format, and their moves in our words.

They are told what our policy tells us: the headroom is memory that the node keeps for itself, and a ratio of CPUs that
must not be exceeded. CPU use stands for vCPUs, in ten-thousandths of a core, so that the ratio which they even out is
our utilisation. Guests have external storage: they may go to any node, and no node has to hold a copy. What is dynamic
load to them would count guests (each weighs 1 without a file), so it is left out.
"""

from __future__ import annotations

import math
import re
import shutil

from balancer.domain.cluster import Cluster
from balancer.domain.host import CPU, Host
from balancer.domain.placement import Placement
from balancer.domain.vm import Vm
from tests.bench.rules import CPU_SHARE, MEMORY_SHARE

NOT_INSTALLED = "not installed: apt-get install ganeti-htools"

PARTS_OF_A_CORE = 10_000  # as fine as the guests' use is drawn
GROUP = "00000000-0000-0000-0000-000000000001"
STORAGE = "ext"
DISK_MIB = 1_000_000  # of each node; guests take none of it

# Memory, CPUs, disk, disks, network cards, spindles; nothing that a guest could be refused for.
STANDARD, LEAST, MOST = "1024,10000,0,1,1,1", "0,0,0,0,0,0", "100000000,100000000,1000000,16,8,16"
SPINDLE_RATIO = 1_000_000


def hbal(*words: str) -> list[str]:
    """Return the command that balances `FILE`, which the caller appends with `-t`."""
    return ["hbal", "--ignore-dynu", "--quiet", "--print-commands", *words]


def hsqueeze() -> list[str]:
    """Return the command that empties nodes of `FILE`. No resources beyond what guests need are to stay free."""
    return ["hsqueeze", "--minimal-resources=0", "--target-resources=0", "--print-commands"]


def is_installed(program: str) -> bool:
    return shutil.which(program) is not None


# -- the cluster in their words


def text_data(cluster: Cluster) -> str:
    """Return a cluster as a file of the text backend (see htools(1)): groups, nodes, instances, tags, policies."""
    policy = f"{STANDARD}|{LEAST};{MOST}|{STORAGE}|{CPU_SHARE}|{SPINDLE_RATIO}"
    sections: tuple[list[str], ...] = (
        [f"all|{GROUP}|preferred||"],
        [_node(cluster, host) for host in cluster.hosts],
        [_instance(vm) for vm in cluster.vms],
        [],
        [f"|{policy}", f"all|{policy}"],
    )
    return "\n".join("".join(f"{line}\n" for line in section) for section in sections)


def _node(cluster: Cluster, host: Host) -> str:
    total = int(host.usable_memory_mib)
    guests = sum(int(vm.memory_mib) for vm in cluster.guests_of(host.name))
    # To them a node with no MiB left is too full, to us it is just full.
    own = total - math.floor(MEMORY_SHARE * total) - 1
    memory = (total, own, total - own - guests)
    role = "N" if host.is_on else "Y"
    return _line(host.name, *memory, DISK_MIB, DISK_MIB, _parts(host.usable(CPU)), role, GROUP, 1, "", "N", 0, 0, 1.0)


def _instance(vm: Vm) -> str:
    size = (int(vm.memory_mib), 0, _parts(vm.need(CPU)))
    return _line(vm.name, *size, "running", "Y", vm.host, "", STORAGE, "", 0, "-")


def _parts(cores: float) -> int:
    return round(cores * PARTS_OF_A_CORE)


def _line(*columns: object) -> str:
    return "|".join(map(str, columns))


# -- their answer in ours

_MIGRATE = re.compile(r"gnt-instance migrate -f -n (\S+) (\S+)$", re.MULTILINE)
_OFF = re.compile(r"^'Nodes to offline'\n((?:\S+\n)*)", re.MULTILINE)


def moves_in(output: str) -> list[tuple[str, str]]:
    """Return the guests that are moved and where to, in the order of the commands; a guest may be moved twice."""
    return [(vm, host) for host, vm in _MIGRATE.findall(output)]


def placement_in(output: str, cluster: Cluster) -> Placement:
    """Return the placement that the commands lead to, and the nodes that are left on."""
    today = Placement.of(cluster)
    offline = _OFF.search(output)
    return Placement({**today.homes, **dict(moves_in(output))}, today.on - set(offline[1].split() if offline else ()))
