"""Guests' disks: local ones are files of one host, shared ones come over the network block protocol.

A file in a directory that all hosts see would do for QEMU, but libvirt cannot tell that directory from a local one and
calls the migration unsafe. With a network disk it sees what it sees at a real site.
"""

import shlex
import signal
from pathlib import Path

from .commands import run, wait_until
from .guests import Guest
from .hosts import Host, all_processes, command_line, signal_all
from .names import MARK

MIB = 1024 * 1024
BASE_MIB = 64


def create(guest: Guest, host: Host, shared: Path) -> None:
    if guest.disk == "local":
        make_image(local_image(host, guest.name))
    if guest.disk == "above base":
        make_base(host)
        make_above_base(host, guest.name)
    if guest.disk == "shared":
        make_image(shared / f"{guest.name}.raw")
        serve(guest.name, shared)


def make_image(path: Path) -> None:
    run("qemu-img", "create", "-q", "-f", "raw", str(path), "8M")


def make_base(host: Host) -> None:
    """An image that each host is given for itself; empty where guests keep their notes, and else full."""
    path = base_image(host)
    if not path.exists():
        path.write_bytes(bytes(MIB) + (BASE_MIB - 1) * MIB * b"b")


def make_above_base(host: Host, guest: str) -> None:
    base = ("-b", "/var/lib/libvirt/images/base.img", "-F", "raw")  # as the host itself sees it
    run("qemu-img", "create", "-q", "-u", "-f", "qcow2", *base, str(above_base(host, guest)), f"{BASE_MIB}M")


def base_image(host: Host) -> Path:
    return host.directory / "lib/images/base.img"


def above_base(host: Host, guest: str) -> Path:
    return host.directory / "lib/images" / f"{guest}.qcow2"


def local_image(host: Host, guest: str) -> Path:
    return host.directory / "lib/images" / f"{guest}.raw"


def serve(guest: str, shared: Path) -> None:
    """To any number of hosts at once: a migration has it open at both ends, and so has a guest that runs twice."""
    stop_serving(guest, shared)
    options = f"--persistent --shared=0 --cache=none --format=raw --export-name={shlex.quote(guest)}"
    paths = f"--socket={shlex.quote(str(socket_of(guest, shared)))} {shlex.quote(str(shared / f'{guest}.raw'))}"
    run("setsid", "--fork", "sh", "-c", f"{MARK} exec qemu-nbd {options} {paths} </dev/null >/dev/null 2>&1")
    wait_until(socket_of(guest, shared).exists, 10, f"serving the disk of {guest}")


def socket_of(guest: str, shared: Path) -> Path:
    """Each host sees it as /var/lib/libvirt/shared/GUEST.sock."""
    return shared / f"{guest}.sock"


def stop_serving(guest: str, shared: Path) -> None:
    option = f"--socket={socket_of(guest, shared)}"
    signal_all([pid for pid in all_processes() if option in command_line(pid)], signal.SIGKILL)
    socket_of(guest, shared).unlink(missing_ok=True)


def remove(guest: str, hosts: list[Host], shared: Path) -> None:
    stop_serving(guest, shared)
    of_hosts = [
        path for host in hosts for path in (local_image(host, guest), above_base(host, guest), base_image(host))
    ]
    for path in [shared / f"{guest}.raw", *of_hosts]:
        path.unlink(missing_ok=True)
