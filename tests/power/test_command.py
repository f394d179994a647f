"""Switching by the operator's own programs: real ones, made for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from balancer.errors import PowerError
from balancer.power.base import PowerState
from balancer.power.command import CommandSwitch
from tests.contracts.test_power_command import PLUG, plug


@pytest.fixture
def switch(tmp_path: Path) -> CommandSwitch:
    return plug(tmp_path)


def only(tmp_path: Path, script: str, secret: str = "", deadline_seconds: float = 10) -> CommandSwitch:
    """A switch whose `state` is a script."""
    program = tmp_path / "state.sh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return CommandSwitch(
        "hv1", {"state": (str(program),)}, SecretStr(secret) if secret else None, deadline_seconds=deadline_seconds
    )


def complaint(switch: CommandSwitch) -> str:
    with pytest.raises(PowerError) as told:
        switch.state()
    return str(told.value)


@pytest.mark.parametrize("said", ["", "maybe", "offline", "0", "on-ish off"])
def test_what_is_neither_on_nor_off_is_not_known(tmp_path: Path, said: str) -> None:
    assert only(tmp_path, f"echo '{said}'").state() is PowerState.UNKNOWN


def test_a_program_that_fails_is_quoted_with_its_number(tmp_path: Path) -> None:
    words = complaint(only(tmp_path, "echo one >&2; echo plug 7 is not there >&2; exit 3"))
    assert "hv1: running its `state` command: it returned 3: plug 7 is not there" in words


def test_a_program_that_hangs_costs_no_more_than_the_deadline_and_leaves_no_children(tmp_path: Path) -> None:
    late = tmp_path / "late"
    words = complaint(only(tmp_path, f"(sleep 3; touch {late}) & sleep 60", deadline_seconds=1))
    assert "no answer within 1 s" in words
    assert not late.exists()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    words = complaint(CommandSwitch("hv1", {"state": (str(tmp_path / "no-such"),)}))
    assert "there is no program" in words and "no-such" in words


def test_the_secret_is_on_standard_input_and_nowhere_else(tmp_path: Path) -> None:
    switch = only(
        tmp_path, 'read word; test "$word" = s3cret && echo on; env | grep -q s3cret && echo leaked; true', "s3cret"
    )
    assert switch.state() is PowerState.ON
    assert "s3cret" not in complaint(only(tmp_path, "cat >&2; exit 1", "s3cret"))


def test_what_there_is_no_command_for_is_not_supported(tmp_path: Path) -> None:
    switch = only(tmp_path, "echo on")
    with pytest.raises(PowerError, match=r"running its `off` command: not supported.*commands: \{off"):
        switch.cut_power()
    assert switch.system_guid() is None and switch.watts() is None


def test_watts_are_the_number_in_what_is_printed(tmp_path: Path) -> None:
    program = tmp_path / "watts.sh"
    program.write_text("#!/bin/sh\necho 'power: 132.5 W'\n")
    program.chmod(0o755)
    assert CommandSwitch("hv1", {"watts": (str(program),)}).watts() == 132.5


def test_words_are_not_read_by_a_shell(tmp_path: Path) -> None:
    switch = CommandSwitch("hv1", {"state": ("echo", "on; touch", str(tmp_path / "made"), "$(touch made)")})
    assert switch.state() is PowerState.UNKNOWN
    assert not (tmp_path / "made").exists()


def test_the_example_plug_is_a_whole_switch(switch: CommandSwitch) -> None:
    assert PLUG.startswith("#!/bin/sh")
    assert switch.watts() is None
