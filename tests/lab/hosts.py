"""One lab host: who it is, its files, its power, and what runs in it."""

import os
import re
import shlex
import shutil
import signal
import sys
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .commands import LabError, run, wait_until
from .names import MARK, PREFIX, SUBNET

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Host:
    """Where to find a host and its files. Holds no state: that is in the kernel and on disk."""

    number: int
    lab: Path

    @property
    def name(self) -> str:
        return f"hv{self.number}"

    @property
    def namespace(self) -> str:
        return PREFIX + self.name

    @property
    def address(self) -> str:
        return f"{SUBNET}.{10 + self.number}"

    @property
    def uuid(self) -> uuid.UUID:
        """The same in each lab, so that a test may quote it."""
        return uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.name}.balancer-lab.invalid")

    @property
    def uri(self) -> str:
        return f"qemu+tcp://{self.address}/system"

    @property
    def tls_uri(self) -> str:
        """As another host uses it; the machine itself has to add `?pkipath=`."""
        return f"qemu+tls://{self.address}/system"

    @property
    def unix_uri(self) -> str:
        """Over its own socket, past its network; another one after each boot."""
        return f"qemu+unix:///system?socket=/proc/{init_pid(self)}/root/run/libvirt/libvirt-sock"

    @property
    def directory(self) -> Path:
        return self.lab / "hosts" / self.name

    @property
    def etc(self) -> Path:
        """Its /etc/libvirt: definitions survive here while the host is off."""
        return self.directory / "etc"


def write_files(host: Host, everyone: Iterable[Host], shared: Path) -> None:
    """All that a host finds on its disk when it is switched on for the first time."""
    for part in ("etc/hooks", "etc/storage/autostart", "lib/images", "lib/shared", "log", "cache", "proc"):
        (host.directory / part).mkdir(parents=True)
    write_names(host, everyone)
    (host.directory / "host.env").write_text(
        f"name={host.name}\nnamespace={host.namespace}\nmark={MARK}\n"
        f"shared={shlex.quote(str(shared))}\npython={shlex.quote(sys.executable)}\nshutdown_seconds=10\n"
    )
    (host.directory / "boot_seconds").write_text("0\n")
    (host.etc / "libvirtd.conf").write_text(libvirtd_conf(host))
    (host.etc / "qemu.conf").write_text(qemu_conf(host))
    write_pool(host, "local", "/var/lib/libvirt/images")
    write_pool(host, "shared", "/var/lib/libvirt/shared")


def write_names(host: Host, everyone: Iterable[Host]) -> None:
    """Other hosts, and the user whom Debian's libvirt insists on, whether or not its system package made one."""
    names = "".join(f"{each.address} {each.name}\n" for each in everyone)
    (host.directory / "hosts").write_text("127.0.0.1 localhost\n" + names)
    user = "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n"
    (host.directory / "passwd").write_text(Path("/etc/passwd").read_text() + user)
    (host.directory / "group").write_text(Path("/etc/group").read_text() + "libvirt-qemu:x:64055:\n")


def libvirtd_conf(host: Host) -> str:
    return f"""\
listen_tls = 1
listen_tcp = 1
listen_addr = "{host.address}"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
host_uuid = "{host.uuid}"
"""


def qemu_conf(host: Host) -> str:
    """Nothing that needs systemd, cgroups or a security module: the namespaces are shelter enough here."""
    return f"""\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
migration_host = "{host.address}"
migration_address = "{host.address}"
"""


def write_pool(host: Host, name: str, target: str) -> None:
    """A storage pool that starts with libvirtd; without one at the target path, local disks cannot come along."""
    xml = f"<pool type='dir'><name>{name}</name><target><path>{target}</path></target></pool>\n"
    path = host.etc / "storage" / f"{name}.xml"
    path.write_text(xml)
    (host.etc / "storage/autostart" / path.name).symlink_to(f"/etc/libvirt/storage/{path.name}")


def press(host: Host, *button: str) -> str:
    """Work the host's power directly, past its BMC: `get power`, `set power 0|1`, `set shutdown 1`."""
    return run(str(HERE / "chassis.sh"), str(host.directory), "lab", *button).strip()


def is_on(host: Host) -> bool:
    return press(host, "get", "power") == "power:1"


def init_pid(host: Host) -> int:
    """The machine's PID of the host's PID 1."""
    if not is_on(host):
        raise LabError(f"{host.name} is off")
    return int((host.directory / "init.pid").read_text())


def processes(host: Host) -> list[int]:
    """All that runs in the host, by the machine's PIDs; empty when it is off."""
    return processes_sharing("pid", Path(f"/proc/{init_pid(host)}/ns/pid")) if is_on(host) else []


def processes_sharing(kind: str, namespace: Path) -> list[int]:
    try:
        wanted = namespace.stat()
    except OSError:
        return []
    return [pid for pid in all_processes() if is_same(Path(f"/proc/{pid}/ns/{kind}"), wanted)]


def all_processes() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def is_same(link: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(link.stat(), wanted)
    except OSError:
        return False  # it has ended


def command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def libvirtd_pids(host: Host) -> list[int]:
    return [pid for pid in processes(host) if command_line(pid)[:1] == ["libvirtd"]]


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def kill_libvirtd(host: Host) -> None:
    """Its guests go on running, as on a real host."""
    signal_all(libvirtd_pids(host), signal.SIGKILL)
    wait_until(lambda: not libvirtd_pids(host), 10, f"rid of libvirtd on {host.name}")


def start_libvirtd(host: Host) -> None:
    """Asked again until it is there: a shell that begins to wait in that very instant hears nothing."""

    def is_there() -> bool:
        if not libvirtd_pids(host):
            os.kill(init_pid(host), signal.SIGUSR1)
        return bool(libvirtd_pids(host))

    wait_until(is_there, 20, f"there: libvirtd on {host.name}")


def virsh(host: Host, *command: str, given: str | None = None, timeout: float = 60) -> str:
    """Over its own socket, so it works with the cable pulled."""
    return run("virsh", "--quiet", "--connect", host.unix_uri, *command, given=given, timeout=timeout)


def qemu_started(host: Host, guest: str) -> list[datetime]:
    """When its libvirtd started a QEMU for a guest."""
    log = host.directory / "log/qemu" / f"{guest}.log"
    said = log.read_text(errors="replace") if log.exists() else ""
    return [datetime.fromisoformat(when) for when in re.findall(r"^(\S+ \S+): starting up libvirt", said, re.MULTILINE)]


def answers(host: Host) -> bool:
    """Whether its libvirtd answers over the network."""
    try:
        run("virsh", "--connect", host.uri, "--quiet", "uri", timeout=4)
    except LabError:
        return False
    return True


def last_words(host: Host) -> str:
    """What its programs said last, and which of libvirtd's threads wait for what."""
    said = (host.directory / "host.log").read_text(errors="replace").splitlines()[-20:]
    tasks = [task for pid in libvirtd_pids(host) for task in Path(f"/proc/{pid}/task").iterdir()]
    waits = [f"{(task / 'comm').read_text().strip()}: {(task / 'wchan').read_text()}" for task in tasks]
    return "\n".join([*said, *waits])


def remove_hooks(host: Host) -> bool:
    """Says whether there were any: libvirtd fails on a hook that it saw when it started and that is gone now."""
    left = list((host.etc / "hooks").iterdir())
    for hook in left:
        shutil.rmtree(hook) if hook.is_dir() else hook.unlink()
    return bool(left)
