"""External commands keep the contract, with a smart plug that is a shell script."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from balancer.domain.site_file import PowerAction
from balancer.power.base import PowerSwitch
from balancer.power.command import CommandSwitch
from tests.contracts.power_contract import PowerContract

UUID = "a1234567-89ab-cdef-a123-456789abcdef"
PASSWORD = "plug-word"
PLUG = f"""\
#!/bin/sh
cd "$(dirname "$0")" || exit 1
read -r word
test -e silent && sleep 60
test "$word" = {PASSWORD} || {{ echo "wrong password" >&2; exit 4; }}
case $1 in
    state) cat power ;;
    on) echo on >power ;;
    off|shut_down) echo off >power ;;
    guid) echo {UUID} ;;
esac
"""
ACTIONS: tuple[PowerAction, ...] = ("state", "on", "off", "shut_down", "guid")


def plug(directory: Path, password: str = PASSWORD, deadline_seconds: float = 10) -> CommandSwitch:
    """Make a plug in a directory, with its power on."""
    program = directory / "plug.sh"
    if not program.exists():
        program.write_text(PLUG)
        program.chmod(0o755)
        (directory / "power").write_text("on\n")
    commands = {action: (str(program), str(action)) for action in ACTIONS}
    return CommandSwitch("hv1", commands, SecretStr(password), deadline_seconds=deadline_seconds)


class PlugBench:
    """A plug that is a file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.switch: PowerSwitch = plug(directory)
        self.host_uuid = UUID

    def let_time_pass(self, seconds: float) -> None:
        time.sleep(seconds)

    def with_wrong_password(self) -> PowerSwitch:
        return plug(self._directory, password="not-its-own")

    def silence(self) -> None:
        (self._directory / "silent").touch()
        self.switch = plug(self._directory, deadline_seconds=1)


@pytest.fixture
def bench(tmp_path: Path) -> PlugBench:
    return PlugBench(tmp_path)


class TestCommandSwitch(PowerContract):
    pass
