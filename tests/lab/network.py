"""The lab's wires: a switch in a namespace of its own, a port for each host, and one for the machine itself.

The switch is not on the machine, where a firewall for containers might filter what hosts say to each other.
"""

from collections.abc import Iterable

from .commands import run
from .hosts import Host
from .names import PREFIX, SUBNET, UPLINK

SWITCH = PREFIX + "switch"
USUAL_TRIES = 15  # to hand over one segment


def lay_out(hosts: Iterable[Host]) -> None:
    run("ip", "netns", "add", SWITCH)
    in_switch("link add bridge type bridge", "link set bridge up")
    run("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", "machine", "netns", SWITCH)
    run("ip", "address", "add", f"{SUBNET}.1/24", "dev", UPLINK)
    run("ip", "link", "set", UPLINK, "up")
    in_switch("link set machine master bridge up")
    for host in hosts:
        plug_in(host)


def plug_in(host: Host) -> None:
    """The host's own end stays down: the host sets it up when it boots."""
    run("ip", "netns", "add", host.namespace)
    in_switch(
        f"link add {host.name} type veth peer name eth0 netns {host.namespace}",
        f"link set {host.name} master bridge up",
    )
    run("ip", "-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")


def set_link(host: Host, state: str) -> None:
    """Pull the host's cable at the switch, or put it back: `down`, `up`."""
    in_switch(f"link set {host.name} {state}")


def mislead(host: Host, other: Host, is_misled: bool) -> None:
    """Let what a host sends to another go astray, while it still hears that one; or undo it."""
    entry = f"{other.address} dev eth0"
    change = f"replace {entry} lladdr 02:00:00:00:00:fe nud permanent" if is_misled else f"flush {entry} nud permanent"
    run("ip", "-n", host.namespace, "neigh", *change.split())


def give_up_soon(host: Host, is_impatient: bool = True) -> None:
    """Have a host's kernel take a line for broken after a second or two without an answer, not after minutes.

    Only then does QEMU hear of it: neither it nor libvirt asks whether the other end of a migration is there.
    """
    tries = 3 if is_impatient else USUAL_TRIES
    run("ip", "netns", "exec", host.namespace, "sysctl", "-qw", f"net.ipv4.tcp_retries2={tries}")


def in_switch(*commands: str) -> None:
    run("ip", "-n", SWITCH, "-batch", "-", given="\n".join(commands) + "\n")
