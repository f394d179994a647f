"""Switching by IPMI against a real BMC simulator: what an operator reads, and what never leaks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from balancer.errors import PowerError
from balancer.power.base import PowerState
from balancer.power.identity import same_machine
from balancer.power.ipmi import CALL, IpmiSwitch
from tests.power.bmc_bench import GUID, PASSWORD, USER
from tests.power.ipmi_bench import Bench, bench


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as started:
        yield started


def words_of(switch: IpmiSwitch) -> str:
    with pytest.raises(PowerError) as told:
        switch.state()
    return str(told.value)


def test_a_wrong_password_is_named_as_such(bmc: Bench) -> None:
    words = words_of(bmc.switch(password="nonsense"))
    assert "hv1: asking whether it has power: wrong password for user admin" in words
    assert "nonsense" not in words


def test_an_unknown_user_is_named_as_such(bmc: Bench) -> None:
    assert "does not know user nobody" in words_of(bmc.switch(user="nobody"))


def test_a_bmc_that_is_gone_is_unreachable_and_not_off(bmc: Bench) -> None:
    bmc.stop()
    words = words_of(bmc.switch())
    assert f"no answer from 127.0.0.1:{bmc.port}" in words and "is the BMC's network up" in words


def test_a_bmc_that_hangs_costs_no_more_than_the_deadline(bmc: Bench) -> None:
    bmc.freeze()
    assert f"no answer within 1 s from 127.0.0.1:{bmc.port}" in words_of(bmc.switch(deadline_seconds=1))
    assert children_asking_a_bmc() == []


def test_a_name_that_nobody_knows_is_named() -> None:
    switch = IpmiSwitch("hv1", "bmc.invalid", None, USER, SecretStr(PASSWORD))
    assert "the name bmc.invalid:623 cannot be looked up" in words_of(switch)


def test_the_guid_is_the_uuid_that_the_site_gave_the_bmc(bmc: Bench) -> None:
    assert bmc.switch().system_guid() == GUID


def test_one_cipher_suite_may_be_asked_for(bmc: Bench) -> None:
    assert bmc.switch(cipher=3).state() is PowerState.ON


def test_a_user_may_ask_at_a_lower_level_and_is_told_what_that_forbids(bmc: Bench) -> None:
    modest = bmc.switch(privilege="user")
    assert modest.state() is PowerState.ON
    with pytest.raises(PowerError, match="user admin may not do this"):
        modest.cut_power()
    assert bmc.has_power
    bmc.switch(privilege="operator").cut_power()
    assert not bmc.has_power


def test_a_bmc_that_measures_nothing_has_no_watts(bmc: Bench) -> None:
    assert bmc.switch().watts() is None


def test_ipmitool_reads_a_guid_of_the_same_machine(bmc: Bench) -> None:
    command = [
        "ipmitool",
        "-I",
        "lanplus",
        "-C",
        "3",
        "-H",
        "127.0.0.1",
        "-p",
        str(bmc.port),
        "-U",
        USER,
        "-P",
        PASSWORD,
    ]
    said = subprocess.run([*command, "mc", "guid"], capture_output=True, text=True, check=True).stdout
    second_opinion = said.splitlines()[0].partition(":")[2].strip()
    assert same_machine(second_opinion, bmc.switch().system_guid())


def test_twelve_bmcs_answer_side_by_side(tmp_path: Path) -> None:
    with ExitStack() as stack:
        benches = []
        for number in range(12):
            directory = tmp_path / str(number)
            directory.mkdir()
            benches.append(stack.enter_context(bench(directory)))
        for number, one in enumerate(benches):
            one.has_power = number % 2 == 0
        benches[3].freeze()
        switches = [one.switch(f"hv{number}", deadline_seconds=30) for number, one in enumerate(benches)]
        with ThreadPoolExecutor(12) as pool:
            states = list(pool.map(state_or_words, switches))
    assert "no answer" in states[3]
    states[3] = PowerState.OFF
    assert states == [PowerState.ON, PowerState.OFF] * 6


def state_or_words(switch: IpmiSwitch) -> str:
    try:
        return switch.state()
    except PowerError as error:
        return str(error)


def test_a_call_ends_by_itself_when_whoever_made_it_is_frozen(bmc: Bench) -> None:
    bmc.freeze()
    question = {
        "action": "off",
        "address": "127.0.0.1",
        "port": bmc.port,
        "user": USER,
        "password": PASSWORD,
        "deadline_seconds": 0.5,
    }
    orphan = subprocess.run(
        [sys.executable, "-P", str(CALL)], input=json.dumps(question), text=True, timeout=20, check=False
    )
    assert orphan.returncode != 0
    assert bmc.has_power


def test_the_password_is_in_no_process_list_and_no_representation(bmc: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HV1_BMC", PASSWORD)
    bmc.freeze()
    switch = bmc.switch(deadline_seconds=4)
    call = threading.Thread(target=state_or_words, args=[switch])
    call.start()
    seen = wait_for_a_child()
    call.join()
    assert str(CALL) in seen and PASSWORD not in seen
    assert PASSWORD not in repr(switch) and PASSWORD not in str(vars(switch))


def wait_for_a_child() -> str:
    for _ in range(300):
        for process in children_asking_a_bmc():
            return (process / "cmdline").read_text() + (process / "environ").read_text()
        time.sleep(0.01)
    raise AssertionError("no child was started")


def children_asking_a_bmc() -> list[Path]:
    """Return the children of this process that run our call now."""
    ids = [child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()]
    processes = [Path("/proc") / child for child in ids]
    return [process for process in processes if str(CALL) in (process / "cmdline").read_text().split("\0")]
