"""Plans for playbooks, drawn; and Ansible's own programs to try them with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Action, Plan, PolicyMark, Step, Summary
from balancer.domain.site_file import SiteHost
from balancer.reporting.playbook import Terms, plan_playbook
from tests.drawing import NOON, cluster
from tests.reporting import virsh_stand_in

DRAWN = cluster("h1 64: a=8 b=8 c=8 | h2 64: d=8 | h3 64: | h4 64 standby:")
ANSIBLE = Path(sys.executable).parent


def uuid_of(vm: str) -> str:
    return str(uuid5(NAMESPACE_OID, vm))


def uri_of(host: str) -> str:
    return f"qemu+tcp://{host}/system"


def terms(*names: str, **more: Any) -> Terms:
    hosts = [SiteHost(name=name, uri=uri_of(name)) for name in names or ("h1", "h2", "h3", "h4")]
    return Terms({host.name: host for host in hosts}, deadline_of=lambda seconds: 60 + seconds, **more)


def move(number: int, vm: str, source: str, target: str, wave: int = 1, **more: Any) -> Step:
    said = {"kind": "live", "seconds": 8.0, "vm_id": uuid_of(vm), **more}
    return Step(
        id=f"s{number}", rank=number, wave=wave, action=Action.MOVE, vm=vm, source=source, target=target, **said
    )


def at_host(number: int, action: Action, host: str, wave: int = 1, **more: Any) -> Step:
    return Step(id=f"s{number}", rank=number, wave=wave, action=action, host=host, **more)


def plan(*steps: Step, **more: Any) -> Plan:
    said: dict[str, Any] = {"valid_until": datetime.now(UTC) + timedelta(hours=1), **more}

    def hosts(action: Action, test: bool = False) -> tuple[str, ...]:
        return tuple(str(step.host) for step in steps if step.action is action and step.test is test)

    summary = Summary(
        moves=sum(step.is_move for step in steps),
        hosts_to_wake=hosts(Action.POWER_ON),
        hosts_to_sleep=hosts(Action.POWER_OFF),
        hosts_to_test=hosts(Action.POWER_OFF, test=True),
    )
    return Plan(
        id="p1",
        cluster="drawn",
        taken_at=NOON,
        made_at=NOON,
        snapshot_digest="none",
        policy=PolicyMark(name="mine", digest="none"),
        steps=steps,
        summary=summary,
        **said,
    )


def playbook(*steps: Step, drawn: Cluster = DRAWN, **more: Any) -> str:
    return plan_playbook(plan(*steps), drawn, terms(**more))


class StandIn:
    """A cluster that exists in a file alone, and a virsh that knows it."""

    def __init__(self, directory: Path, **hosts: dict[str, list[str]]) -> None:
        self.directory = directory
        self._file = directory / "cluster.json"
        self._said = {"hosts": {uri_of(host): guests for host, guests in hosts.items()}, "log": []}
        self.changes(waits_for={}, asleep={}, failing=[])
        virsh = directory / "virsh"
        virsh.write_text(f'#!/bin/sh\nexec {sys.executable} {virsh_stand_in.__file__} "$@"\n')
        virsh.chmod(0o755)

    def changes(self, **what: Any) -> None:
        now = json.loads(self._file.read_text()) if self._file.exists() else self._said
        self._file.write_text(json.dumps({**now, **what}))

    def plays(self, text: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Carry a playbook out."""
        written = self.directory / "plan.yml"
        written.write_text(text)
        return ansible("ansible-playbook", *options, str(written), home=self.directory, cluster=self._file)

    @property
    def hosts(self) -> dict[str, dict[str, list[str]]]:
        """What is true of each guest on each host."""
        return dict(json.loads(self._file.read_text())["hosts"])

    @property
    def log(self) -> list[tuple[str, str]]:
        return [(what, guest) for what, guest, _ in json.loads(self._file.read_text())["log"]]

    @property
    def migrations(self) -> list[list[str]]:
        """The words of each migration that was begun."""
        return [words for what, _, words in json.loads(self._file.read_text())["log"] if what == "begun"]


def ansible(program: str, *words: str, home: Path, cluster: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's programs with nothing of the user's own settings."""
    environment = {
        "PATH": f"{home}:{ANSIBLE}:{os.environ['PATH']}",
        "HOME": str(home),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
        virsh_stand_in.CLUSTER: str(cluster),
    }
    command = [str(ANSIBLE / program), *words]
    return subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
