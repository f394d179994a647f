"""Guests: what a test asks for, the libvirt definition it becomes, and what a guest says on its console."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

LEAST_MEMORY_MIB = 80
"""With less, the guest's kernel does not boot."""


Disk = Literal["shared", "local", "above base"]
"""On the network; a file of its host; or a file of its host that holds what differs from a base image there."""


@dataclass(frozen=True)
class Guest:
    name: str
    load_percent: int = 10
    memory_mib: int = 96
    vcpus: int = 1
    disk: Disk | None = None
    metadata: str = ""
    uuid: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        if self.memory_mib < LEAST_MEMORY_MIB:
            raise ValueError(f"a lab guest needs at least {LEAST_MEMORY_MIB} MiB to boot, not {self.memory_mib}")


@dataclass(frozen=True)
class Counter:
    """What a guest last said of itself: it never rebooted if `boot_id` is the same, and went on if `tick` has grown."""

    boot_id: str
    tick: int
    load_percent: int
    memory_mib: int


LINE = re.compile(r"^lab boot=(\S+) tick=(\d+) load=(\d+) memory=(\d+)\s*$", re.MULTILINE)
FOUND = re.compile(r"^lab found boot=(\S+) tick=(\d+)\s*$", re.MULTILINE)


def last_counter(console: Path) -> Counter | None:
    """From the console's last complete line, or nothing while the guest still boots."""
    said = LINE.findall(tail(console))
    if not said:
        return None
    boot_id, *numbers = said[-1]
    return Counter(boot_id, *map(int, numbers))


def found_on_disk(console: Path) -> tuple[str, int] | None:
    """The boot id and tick that the guest read off its disk when it booted; nothing from a new disk."""
    found = FOUND.findall(console.read_text(errors="replace")) if console.exists() else []
    return (found[-1][0], int(found[-1][1])) if found else None


def tail(console: Path) -> str:
    """Enough of the end for some counter lines among some kernel messages, and no half line at the very end."""
    try:
        with console.open("rb") as file:
            file.seek(max(0, console.stat().st_size - 8192))
            return file.read().decode(errors="replace").rpartition("\n")[0]
    except FileNotFoundError:
        return ""


def domain_xml(guest: Guest, system: Path, console: Path) -> str:
    """Emulated, without KVM: that runs on any machine, and any host can take the guest."""
    return f"""\
<domain type='qemu'>
  <name>{guest.name}</name>
  <uuid>{guest.uuid}</uuid>
  <metadata>{guest.metadata}</metadata>
  <memory unit='MiB'>{guest.memory_mib}</memory>
  <vcpu>{guest.vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{system}/vmlinuz</kernel>
    <initrd>{system}/initrd</initrd>
    <cmdline>console=ttyS0 quiet load={guest.load_percent}</cmdline>
  </os>
  <features><acpi/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='{console}' append='on'/><target port='0'/></serial>
    <serial type='unix'><source mode='bind' path='/run/guests/{guest.name}'/><target port='1'/></serial>
    <memballoon model='virtio'/>
    {disk_xml(guest)}
  </devices>
</domain>
"""


def disk_xml(guest: Guest) -> str:
    """Without a cache on the host: libvirt calls migration unsafe otherwise, and rightly so."""
    if guest.disk is None:
        return ""
    kind, form, source = "file", "raw", f"<source file='/var/lib/libvirt/images/{guest.name}.raw'/>"
    if guest.disk == "above base":
        form, source = "qcow2", f"<source file='/var/lib/libvirt/images/{guest.name}.qcow2'/>"
    if guest.disk == "shared":
        server = f"<host transport='unix' socket='/var/lib/libvirt/shared/{guest.name}.sock'/>"
        kind, source = "network", f"<source protocol='nbd' name='{guest.name}'>{server}</source>"
    return f"""\
<disk type='{kind}' device='disk'>
      <driver name='qemu' type='{form}' cache='none'/>
      {source}
      <target dev='vda' bus='virtio'/>
    </disk>"""
