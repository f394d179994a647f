"""A BMC for each host: Debian's ipmi_sim on a loopback port, its power button wired to the host by chassis.sh."""

import shlex
import signal
import uuid
from pathlib import Path
from typing import Literal

from .commands import LabError, run, wait_until
from .hosts import HERE, Host, all_processes, command_line, signal_all
from .names import FIRST_BMC_PORT, MARK

USER = "admin"
PASSWORD = "let-me-in"
GuidOrder = Literal["smbios", "ipmi", "rfc4122"]


def factory_port(host: Host) -> int:
    """The port that is written on the host's label, and in its site entry."""
    return FIRST_BMC_PORT + host.number


def write_files(host: Host, guid_order: GuidOrder) -> None:
    directory = directory_of(host)
    (directory / "state").mkdir(parents=True)
    (directory / "chassis").write_text(f'#!/bin/sh\nexec {HERE}/chassis.sh {shlex.quote(str(host.directory))} "$@"\n')
    (directory / "chassis").chmod(0o755)
    (directory / "guid").write_text(guid_bytes(host.uuid, guid_order).hex())
    (directory / "host.emu").write_text(
        "mc_setbmc 0x20\n"
        "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n"
        "sel_enable 0x20 1000 0x0a\n"
        "mc_enable 0x20\n"
    )


def directory_of(host: Host) -> Path:
    return host.directory / "bmc"


def conf(host: Host) -> str:
    return str(directory_of(host) / "lan.conf")


def guid_bytes(host_uuid: uuid.UUID, order: GuidOrder) -> bytes:
    """The 16 bytes as "Get System GUID" sends them: as most machines do, as the IPMI standard says, or as printed."""
    if order == "smbios":
        return host_uuid.bytes_le
    return host_uuid.bytes[::-1] if order == "ipmi" else host_uuid.bytes


def lan_conf(host: Host, port: int) -> str:
    guid = (directory_of(host) / "guid").read_text()
    return f"""\
name "{host.name}"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid {guid}
  endlan
  chassis_control "./chassis 0x20"
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "{USER}" "{PASSWORD}" admin 10 none md2 md5 straight
"""


def port(host: Host) -> int:
    """Where it listens, or listened last: another's port after a swap."""
    return int(Path(conf(host)).read_text().partition("127.0.0.1 ")[2].split()[0])


def answers_at(host: Host, wanted: int) -> bool:
    return bool(pids(host)) and port(host) == wanted


def start(host: Host, port: int) -> None:
    """It outlives us: a lab started by hand goes on when the command ends."""
    if is_taken(port):
        raise LabError(f"a BMC needs UDP port {port} of 127.0.0.1, and another program has it")
    directory = directory_of(host)
    Path(conf(host)).write_text(lan_conf(host, port))
    simulate = f"{MARK} exec ipmi_sim -n -c {shlex.quote(conf(host))} -f host.emu -s state </dev/null >bmc.log 2>&1"
    run("setsid", "--fork", "sh", "-c", f"cd {shlex.quote(str(directory))} && {simulate}")
    wait_until(lambda: is_taken(port), 10, f"there: the BMC of {host.name}")


def is_taken(port: int) -> bool:
    """By the kernel's list: to try the port would take it from a BMC that starts in the same instant."""
    ends = [line.split()[1] for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return any(int(end.partition(":")[2], 16) == port for end in ends)


def stop(host: Host) -> None:
    """Pull its network cable, as it were: the host goes on, and nobody can ask about it."""
    signal_all(pids(host), signal.SIGKILL)
    wait_until(lambda: not pids(host), 5, f"rid of the BMC of {host.name}")


def pids(host: Host) -> list[int]:
    return [pid for pid in all_processes() if {"ipmi_sim", conf(host)} <= set(command_line(pid))]


def ask(port: int, secret: Path, *question: str) -> str:
    """By ipmitool, an opinion independent of the product's own client. Without -C 3 each call takes 10 s."""
    session = [
        "-I",
        "lanplus",
        "-C",
        "3",
        "-N",
        "1",
        "-R",
        "2",
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        USER,
        "-f",
        str(secret),
    ]
    return run("ipmitool", *session, *question).strip()
