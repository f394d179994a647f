"""The lab as tests use it: `with Lab(hosts=3) as lab:`."""

import atexit
import json
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from . import bmc, certificates, disks, guests, hosts, image, leftovers, network, orders, ownership, site_file, ssh
from .commands import LabError, wait_until
from .guests import Counter, Guest
from .hosts import Host
from .names import DEFAULT_DIRECTORY

Transport = Literal["tcp", "tls", "ssh", "unix"]


class Lab:
    """N real hypervisors with real guests and a BMC each, or whatever is left of them after what a test did.

    Hosts are called hv1, hv2, ... Nothing is remembered here: each answer is asked anew from libvirt, the BMC, the
    guest's console or the kernel, so it holds whoever moved or killed what.
    """

    def __init__(
        self,
        hosts: int = 3,
        directory: Path = DEFAULT_DIRECTORY,
        guid_order: bmc.GuidOrder = "smbios",
    ) -> None:
        self.directory = directory
        self.hosts = [Host(number, directory) for number in range(1, hosts + 1)]
        self.guid_order: bmc.GuidOrder = guid_order
        self._lock: socket.socket | None = None

    @classmethod
    def found_in(cls, directory: Path = DEFAULT_DIRECTORY) -> Self:
        """The lab that another process has brought up there."""
        count = len(list((directory / "hosts").glob("hv*")))
        if not count:
            raise LabError(f"no lab in {directory}: bring one up first")
        return cls(hosts=count, directory=directory)

    def __enter__(self) -> Self:
        atexit.register(self.down)
        self.up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.down()
        atexit.unregister(self.down)

    # -- the whole lab

    def up(self) -> None:
        """Start afresh, whatever an earlier lab has left; returns when each libvirtd answers."""
        self._lock = self._lock or ownership.take()
        leftovers.remove(self.directory)
        leftovers.claim(self.directory)
        for part in ("shared", "consoles", "guest"):
            (self.directory / part).mkdir()
        for host in self.hosts:
            hosts.write_files(host, self.hosts, self.shared_dir)
            bmc.write_files(host, self.guid_order)
        self._write_credentials()
        site_file.write_secrets(self.secrets_dir, self.hosts)
        network.lay_out(self.hosts)
        for host in self.hosts:
            hosts.press(host, "set", "power", "1")
            bmc.start(host, bmc.factory_port(host))
        image.build(self.directory / "guest")
        for host in self.hosts:
            self.wait_for_host(host.name)

    def _write_credentials(self) -> None:
        """For hosts and for the machine: certificates of one authority, and SSH keys."""
        authority = certificates.Authority()
        for host in self.hosts:
            issued = authority.issue(host.name, host.address)
            certificates.write_host(host.directory / "pki", authority.certificate, issued)
        certificates.write_client(self.pki_dir, authority.certificate, authority.issue("machine"))
        ssh.write_files(self.hosts, self.ssh_dir)

    def down(self) -> None:
        """Remove every trace; harmless when there is none."""
        self._lock = self._lock or ownership.take()
        leftovers.remove(self.directory)
        self._lock.close()
        self._lock = None

    def reset(self) -> None:
        """Back to what `up` gave: all hosts on and reachable, no guests. For a lab that many tests share."""
        for host in self.hosts:
            self._mend(host)
        self._rewire_bmcs({host.name: bmc.factory_port(host) for host in self.hosts})
        for host in self.hosts:
            self.wait_for_host(host.name)
        for name in self.guests():
            self.remove_guest(name)

    def _mend(self, host: Host) -> None:
        """Undo what a test did to a host. One that does not answer then, or remembers hooks, is switched off and on."""
        self.thaw_host(host.name)
        self.link_up(host.name)
        network.give_up_soon(host, is_impatient=False)
        for other in self.hosts:
            network.mislead(host, other, is_misled=False)
        self.set_boot_seconds(host.name, 0)
        self.ignore_soft_shutdown(host.name, False)
        if hosts.remove_hooks(host) or not self.libvirtd_running(host.name):
            self.power_off(host.name)
        hosts.press(host, "set", "power", "1")

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"no host {name} in this lab, only {', '.join(host.name for host in self.hosts)}")

    @property
    def shared_dir(self) -> Path:
        """What each host sees as /var/lib/libvirt/shared, its pool "shared"."""
        return self.directory / "shared"

    # -- ways in

    @property
    def pki_dir(self) -> Path:
        """The machine's own certificate for TLS, and the authority of all hosts: for `?pkipath=`."""
        return self.directory / "pki"

    @property
    def ssh_dir(self) -> Path:
        """The machine's own `key` for SSH, the `known_hosts`, and an `ssh` that uses them."""
        return self.directory / "ssh"

    def uri(self, host: str, transport: Transport, pki: Path | None = None, key: Path | None = None) -> str:
        """How the machine reaches a host's libvirtd."""
        there = self.host(host)
        return {
            "tcp": lambda: there.uri,
            "tls": lambda: f"{there.tls_uri}?pkipath={pki or self.pki_dir}",
            "ssh": lambda: (
                f"qemu+ssh://root@{there.address}/system?keyfile={key or self.ssh_dir / 'key'}"
                f"&command={self.ssh_dir / 'ssh'}"
            ),
            "unix": lambda: there.unix_uri,
        }[transport]()

    # -- guests

    def start_guest(
        self,
        name: str,
        host: str,
        *,
        load_percent: int = 10,
        memory_mib: int = 96,
        vcpus: int = 1,
        disk: guests.Disk | None = None,
        persistent: bool = True,
        autostart: bool = False,
        metadata: str = "",
    ) -> None:
        """Returns as soon as it runs; `wait_for_guests` waits until it counts. `metadata` is XML for its <metadata>.

        One vCPU unless a test is about more. Under heavy contention a guest has been seen to stand still after one
        migration of some hundred, with two vCPUs more often; why is not known, and `still_counting` tells.
        """
        guest = Guest(name, load_percent, memory_mib, vcpus, disk, metadata)
        if persistent:
            self.define_guest(guest, host)
            self.virsh(host, "start", name)
        else:
            self.virsh(host, "create", "/dev/stdin", given=self._prepare(guest, host))
        if autostart:
            self.virsh(host, "autostart", name)

    def define_guest(self, guest: Guest, host: str) -> None:
        """Define it and leave it shut off."""
        self.virsh(host, "define", "/dev/stdin", given=self._prepare(guest, host))

    def _prepare(self, guest: Guest, host: str) -> str:
        """Give it a disk and an empty console; returns its definition."""
        self.console(guest.name).unlink(missing_ok=True)
        disks.create(guest, self.host(host), self.shared_dir)
        return guests.domain_xml(guest, self.directory / "guest", self.console(guest.name))

    def guests(self) -> list[str]:
        """All guests that any host has active or defined."""
        lists = [self.virsh(host.name, "list", "--all", "--name") for host in self.hosts if hosts.is_on(host)]
        return sorted({name for names in lists for name in names.split()})

    def remove_guest(self, name: str) -> None:
        """With its disk and console; also in the middle of a migration."""
        wait_until(partial(self._destroy, name), 30, f"rid of {name}")
        for host in self.defined_on(name):
            self.virsh(host, "undefine", "--managed-save", "--snapshots-metadata", name)
        disks.remove(name, self.hosts, self.shared_dir)
        self.console(name).unlink(missing_ok=True)

    def _destroy(self, name: str) -> bool:
        """Whether it is gone. Where one end of a migration is destroyed, the other goes of itself: no fault then."""
        for host in self.where(name):
            with suppress(LabError):
                self.virsh(host, "destroy", name)
        return not self.where(name)

    def where(self, name: str) -> list[str]:
        """The hosts whose libvirt says that it is active there. A host that is on and does not answer is an error.

        Asked over each host's own socket, so it needs neither the network nor the product. During a migration these
        are two.
        """
        return self._hosts_listing(name, "--name")

    def defined_on(self, name: str) -> list[str]:
        """The hosts with a persistent definition of it, active or not."""
        return self._hosts_listing(name, "--name", "--all", "--persistent")

    def _hosts_listing(self, name: str, *options: str) -> list[str]:
        asked = [host.name for host in self.hosts if hosts.is_on(host)]
        return [host for host in asked if name in self.virsh(host, "list", *options, timeout=10).split()]

    def qemu_on(self, name: str) -> list[str]:
        """The hosts on which a QEMU process of this guest exists: the kernel's word, even when libvirtd is dead.

        During a migration these are two, of which one is paused.
        """
        mark = f"guest={name},"
        return [
            host.name
            for host in self.hosts
            if any(mark in word for pid in hosts.processes(host) for word in hosts.command_line(pid))
        ]

    def started(self, name: str) -> list[tuple[datetime, str]]:
        """When a QEMU was started for it and on which host, by libvirt's own log; a migration starts one at its target.

        Logs outlive guests: the name has to be one that no earlier test has used.
        """
        return sorted((when, host.name) for host in self.hosts for when in hosts.qemu_started(host, name))

    def console(self, name: str) -> Path:
        """The guest's console log: one file, which source and target of a migration both append to."""
        return self.directory / "consoles" / f"{name}.log"

    def counter(self, name: str) -> Counter:
        """What the guest last said; see `Counter` for what it proves."""
        counter = guests.last_counter(self.console(name))
        if counter is None:
            raise LabError(f"{name} has not counted yet")
        return counter

    def found_on_disk(self, name: str) -> tuple[str, int] | None:
        """What a guest with a disk read there at its boot: boot id and tick of its run before."""
        return guests.found_on_disk(self.console(name))

    def wait_for_guests(self, *names: str, timeout: float = 120) -> None:
        """Until each of them has booted and counts."""
        for name in names:
            wait_until(partial(guests.last_counter, self.console(name)), timeout, f"a counter from {name}")

    def still_counting(self, name: str, since: Counter, timeout: float = 20) -> Counter:
        """Wait until it has counted on from there; an error if it rebooted or stands still."""
        wait_until(
            lambda: self.counter(name).tick > since.tick, timeout, f"counting: {name} stays at tick {since.tick}"
        )
        now = self.counter(name)
        if now.boot_id != since.boot_id:
            raise LabError(f"{name} has rebooted: it was {since}, it is {now}")
        return now

    def set_load(self, name: str, percent: int, timeout: float = 30) -> None:
        """Make it burn this much of one CPU (up to 100 per vCPU); returns when the guest confirms."""
        self._order(name, f"load {percent}", lambda counter: counter.load_percent == percent, timeout)

    def write_memory(self, name: str, mib: int, on: bool = True, timeout: float = 30) -> None:
        """Let it rewrite so much of its memory without end, some 25 MiB/s at the price of a whole CPU; or stop it."""
        wanted = mib if on else 0
        self._order(name, f"memory {wanted}", lambda counter: counter.memory_mib == wanted, timeout)

    def _order(self, name: str, order: str, is_obeyed: Callable[[Counter], bool], timeout: float) -> None:
        def heard() -> bool:
            return orders.say(self._runs_on(name), name, order, lambda: is_obeyed(self.counter(name)))

        wait_until(heard, timeout, f"obeying '{order}': {name}")

    def _runs_on(self, name: str) -> Host:
        """Of the two hosts of a migration, the one on which it is not paused."""
        for host in self._hosts_listing(name, "--name", "--state-running"):
            return self.host(host)
        raise LabError(f"{name} does not run on any host")

    # -- hosts

    def virsh(self, host: str, *command: str, given: str | None = None, timeout: float = 60) -> str:
        """Over the host's own socket, so it works with the cable pulled too."""
        return hosts.virsh(self.host(host), *command, given=given, timeout=timeout)

    def is_on(self, host: str) -> bool:
        """Whether anything at all runs there, by the kernel."""
        return hosts.is_on(self.host(host))

    def libvirtd_running(self, host: str) -> bool:
        """Whether it answers over the network."""
        return self.is_on(host) and hosts.answers(self.host(host))

    def ask_qemu(self, host: str, name: str, question: str) -> Any:
        """Ask a guest's QEMU itself, past libvirt: `query-migrate` and the like."""
        command = json.dumps({"execute": question})
        return json.loads(self.virsh(host, "qemu-monitor-command", name, command))["return"]

    def wait_for_host(self, host: str, timeout: float = 60) -> None:
        """Until its libvirtd answers."""
        try:
            wait_until(lambda: hosts.answers(self.host(host)), timeout, f"an answer from libvirtd on {host}")
        except LabError as error:
            raise LabError(f"{error}; it said:\n{hosts.last_words(self.host(host))}") from error

    def power_on(self, host: str) -> None:
        """By hand, past the BMC; returns when its libvirtd answers."""
        hosts.press(self.host(host), "set", "power", "1")
        self.wait_for_host(host)

    def power_off(self, host: str) -> None:
        """Pull the plug: all that ran there is gone."""
        hosts.press(self.host(host), "set", "power", "0")

    def freeze_host(self, host: str) -> None:
        """Stop every process there: guests stand still, the kernel accepts connections, nobody answers on them."""
        stopped: set[int] = set()
        while fresh := set(hosts.processes(self.host(host))) - stopped:
            hosts.signal_all(fresh, signal.SIGSTOP)
            stopped |= fresh

    def thaw_host(self, host: str) -> None:
        hosts.signal_all(hosts.processes(self.host(host)), signal.SIGCONT)

    def kill_libvirtd(self, host: str) -> None:
        """Its guests go on running, as on a real host."""
        hosts.kill_libvirtd(self.host(host))

    def start_libvirtd(self, host: str) -> None:
        """After `kill_libvirtd`; returns when it answers."""
        hosts.start_libvirtd(self.host(host))
        self.wait_for_host(host)

    def link_down(self, host: str) -> None:
        """Pull its network cable; its BMC has another and stays reachable."""
        network.set_link(self.host(host), "down")

    def link_up(self, host: str) -> None:
        network.set_link(self.host(host), "up")

    def line_down(self, host: str, towards: str) -> None:
        """Break a line in one direction: what a host sends to another is lost, and it hears that one still."""
        network.mislead(self.host(host), self.host(towards), is_misled=True)

    def line_up(self, host: str, towards: str) -> None:
        network.mislead(self.host(host), self.host(towards), is_misled=False)

    def give_lines_up_soon(self, *names: str) -> None:
        """Have these hosts take a line for broken, once it is, in a second or two; `reset` undoes it."""
        for name in names:
            network.give_up_soon(self.host(name))

    def set_boot_seconds(self, host: str, seconds: int) -> None:
        """How long its next boot takes before it is on the network; very long is a host that never comes."""
        (self.host(host).directory / "boot_seconds").write_text(f"{seconds}\n")

    def ignore_soft_shutdown(self, host: str, ignore: bool = True) -> None:
        """A host that hangs at shutdown: its BMC takes the order, and nothing happens."""
        mark = self.host(host).directory / "deaf"
        mark.touch() if ignore else mark.unlink(missing_ok=True)

    def hooks_dir(self, host: str) -> Path:
        """Its /etc/libvirt/hooks, which libvirtd reads only when it starts: `kill_libvirtd`, then `start_libvirtd`."""
        return self.host(host).etc / "hooks"

    def local_dir(self, host: str) -> Path:
        """What it sees as /var/lib/libvirt/images, its pool "local"."""
        return self.host(host).directory / "lib/images"

    # -- BMCs

    def power_state(self, host: str) -> str:
        """`on` or `off`, by ipmitool, from the BMC that is wired to this host (also after `swap_bmcs`)."""
        answer = self.ipmitool(host, "chassis", "power", "status")
        return answer.rpartition(" ")[2]

    def bmc_port(self, host: str) -> int:
        """The UDP port of 127.0.0.1 at which its BMC really is."""
        return bmc.port(self.host(host))

    def ipmitool(self, host: str, *question: str) -> str:
        return bmc.ask(self.bmc_port(host), self.secrets_dir / f"{host}-bmc", *question)

    def swap_bmcs(self, one: str, other: str) -> None:
        """Exchange the network cables of two BMCs: each answers at the address that is in the other's site entry."""
        ports = {one: self.bmc_port(other), other: self.bmc_port(one)}
        self._rewire_bmcs(ports)

    def power_orders(self, host: str) -> list[str]:
        """What its BMC was told since `up`, oldest first: "power 1", "power 0", "shutdown 1", "reset 1"."""
        orders_file = self.host(host).directory / "power_orders"
        return orders_file.read_text().splitlines() if orders_file.exists() else []

    def stop_bmc(self, host: str) -> None:
        """A BMC that does not answer; the host itself goes on."""
        bmc.stop(self.host(host))

    def start_bmc(self, host: str) -> None:
        bmc.start(self.host(host), self.bmc_port(host))

    def _rewire_bmcs(self, ports: Mapping[str, int]) -> None:
        changed = [name for name, port in ports.items() if not bmc.answers_at(self.host(name), port)]
        for name in changed:
            bmc.stop(self.host(name))
        for name in changed:
            bmc.start(self.host(name), ports[name])

    # -- what the product is told

    @property
    def secrets_dir(self) -> Path:
        """Holds a file hvN-bmc for each host."""
        return self.directory / "secrets"

    def site_file(
        self, path: Path | None = None, hosts: Mapping[str, Mapping[str, Any]] | None = None, **top: Any
    ) -> Path:
        """Write a balancer.site/1 for this lab, by default into its directory.

        `hosts` changes entries by name, other keywords change the top level; a None removes a key:
        site_file(hosts={"hv3": {"may_sleep": False, "bmc": None}}, store="sqlite:////tmp/b.db")
        """
        path = path or self.directory / "site.yaml"
        site_file.write(path, self.hosts, hosts or {}, **top)
        return path
