"""Switching by Redfish against an emulated BMC: what an operator reads, and what never leaks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from balancer.errors import PowerError
from balancer.power.base import PowerState
from balancer.power.redfish import CALL, RedfishSwitch
from balancer.power.redfish_words import words_for
from tests.power.bmc_bench import GUID, PASSWORD, USER
from tests.power.redfish_bench import Bench, bench, free_tcp_port

OTHER = "b1234567-89ab-4def-a123-456789abcdef"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("bmc")) as one:
        yield one


@pytest.fixture
def bmc(started: Bench) -> Bench:
    started.has_power = True
    (started.directory / "wishes").write_text("")
    return started


def words_of(switch: RedfishSwitch) -> str:
    with pytest.raises(PowerError) as told:
        switch.state()
    return str(told.value)


def test_a_wrong_password_is_named_and_not_repeated(bmc: Bench) -> None:
    words = words_of(bmc.switch(password="nonsense"))
    assert "hv1: asking whether it has power: wrong user or password for admin" in words
    assert "nonsense" not in words


def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_way_out(bmc: Bench) -> None:
    words = words_of(bmc.switch(verify=True))
    assert "certificate cannot be trusted" in words and "ca_file" in words


def test_a_certificate_need_not_be_checked(bmc: Bench) -> None:
    assert bmc.switch(verify=False).state() is PowerState.ON


def test_a_closed_port_is_called_that_at_once() -> None:
    switch = RedfishSwitch("hv1", "127.0.0.1", free_tcp_port(), USER, SecretStr(PASSWORD))
    assert "nothing listens there" in words_of(switch)


def test_a_name_that_nobody_knows_is_named() -> None:
    switch = RedfishSwitch("hv1", "bmc.invalid", None, USER, SecretStr(PASSWORD))
    assert "the name bmc.invalid:443 cannot be looked up" in words_of(switch)


def test_the_guid_is_the_uuid_of_the_system(bmc: Bench) -> None:
    assert bmc.switch().system_guid() == GUID


def test_what_the_host_draws_is_what_its_chassis_measure(bmc: Bench) -> None:
    assert bmc.switch().watts() == 143.0


def test_a_bmc_that_measures_nothing_has_no_watts(tmp_path: Path) -> None:
    with bench(tmp_path, watts=None) as one:
        assert one.switch().watts() is None


def test_of_several_systems_one_is_named_in_the_site_file(tmp_path: Path) -> None:
    with bench(tmp_path, systems=(GUID, OTHER)) as one:
        words = words_of(one.switch())
        assert GUID in words and OTHER in words and "`system:`" in words
        assert one.switch(system=OTHER).system_guid() == OTHER
        assert one.switch(system=OTHER).address != one.switch(system=GUID).address


def test_a_call_ends_by_itself_when_whoever_made_it_is_frozen(tmp_path: Path) -> None:
    with bench(tmp_path) as one:
        question = json.loads(one.switch()._question("off")) | {"deadline_seconds": 1}
        one.freeze()
        orphan = subprocess.run(
            [sys.executable, "-P", str(CALL)], input=json.dumps(question), text=True, timeout=30, check=False
        )
        assert orphan.returncode != 0
        assert one.has_power


def test_the_password_is_in_no_representation(bmc: Bench) -> None:
    switch = bmc.switch()
    assert PASSWORD not in repr(switch) and PASSWORD not in str(vars(switch))


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("AccessError", "403 no privilege", "may not do this"),
        ("AccessError", "401 account is locked", "locked user"),
        ("ServerSideError", "503 rebooting", "busy"),
        ("NotImplementedError", "it knows On, and not GracefulShutdown", "not supported"),
        ("JSONDecodeError", "Expecting value", "makes no sense"),
        ("ConnectionError", "Read timed out", "no answer"),
    ],
)
def test_what_libraries_say_becomes_words(kind: str, text: str, said: str) -> None:
    assert said in words_for(kind, text).cause
