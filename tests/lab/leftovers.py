"""Removes a lab with all that belongs to it, also one whose owner was killed half-way: found by name, not by memory."""

import shutil
import signal
from pathlib import Path

from .commands import LabError, run, wait_until
from .hosts import all_processes, processes_sharing, signal_all
from .names import LAB, MARK, PREFIX, UPLINK

NAMESPACES = Path("/run/netns")
LABEL = LAB
"""A directory is only ever removed if a file of this name says that it is a lab."""


def claim(directory: Path) -> None:
    """Make the lab's directory, and label it first of all."""
    if directory.exists() and any(directory.iterdir()):
        raise LabError(f"{directory} is not empty and not a lab: choose another directory")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / LABEL).touch()


def remove(directory: Path) -> None:
    wait_until(lambda: not kill_all(), 20, "rid of all processes of the lab")
    # Before its other end: the kernel removes that some time after the namespace, and this one with it.
    if has_uplink():
        run("ip", "link", "delete", UPLINK)
    for namespace in namespaces():
        run("ip", "netns", "delete", namespace.name)
    remove_directory(directory)


def remove_directory(directory: Path) -> None:
    if (directory / LABEL).exists():
        shutil.rmtree(directory)


def found(directory: Path) -> list[str]:
    """What of a lab is there, in words."""
    things = [f"network namespace {each.name}" for each in namespaces()]
    things += [f"process {pid}" for pid in lab_processes()]
    if has_uplink():
        things.append(f"network interface {UPLINK}")
    if (directory / LABEL).exists():
        things.append(f"directory {directory}")
    return things


def has_uplink() -> bool:
    return Path(f"/sys/class/net/{UPLINK}").exists()


def namespaces() -> list[Path]:
    return sorted(NAMESPACES.glob(PREFIX + "*"))


def kill_all() -> list[int]:
    """One sweep; returns whom it met. Repeated until it meets nobody, so that no BMC restarts a host behind us."""
    pids = lab_processes()
    signal_all(pids, signal.SIGKILL)
    return pids


def lab_processes() -> list[int]:
    inside = {pid for namespace in namespaces() for pid in processes_sharing("net", namespace)}
    return sorted(inside | {pid for pid in all_processes() if is_marked(pid)})


def is_marked(pid: int) -> bool:
    try:
        return f"\0{MARK}\0".encode() in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
