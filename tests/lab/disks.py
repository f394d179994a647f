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


def create(guest: Guest, host: Host, shared: Path) -> None:
    if guest.disk == "local":
        make_image(local_image(host, guest.name))
    if guest.disk == "shared":
        make_image(shared / f"{guest.name}.raw")
        serve(guest.name, shared)


def make_image(path: Path) -> None:
    run("qemu-img", "create", "-q", "-f", "raw", str(path), "8M")


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
    for path in [shared / f"{guest}.raw", *(local_image(host, guest) for host in hosts)]:
        path.unlink(missing_ok=True)
