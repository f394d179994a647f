"""What libvirt's errors mean for another try."""

from __future__ import annotations

from typing import Any

import pytest

from balancer.errors import Prospect
from balancer.platforms.libvirt.words import platform_error, unreached

libvirt = pytest.importorskip("libvirt")


def error(said: str, code: str = "VIR_ERR_OPERATION_FAILED") -> Any:
    raised = libvirt.libvirtError(said)
    raised.err = (getattr(libvirt, code), 0, said, 0, "", "", "", 0, 0)
    return raised


@pytest.mark.parametrize(
    ("raised", "prospect"),
    [
        (error("unsafe migration", "VIR_ERR_MIGRATE_UNSAFE"), Prospect.NEVER_HERE),
        (error("guest CPU is not compatible with the host CPU"), Prospect.NEVER_HERE),
        (error("Cannot access storage file '/srv/db1.qcow2'"), Prospect.NEVER_HERE),
        (error("it took too long", "VIR_ERR_OPERATION_TIMEOUT"), Prospect.LATER),
        (error("cannot acquire state change lock"), Prospect.LATER),
        (error("internal error: client socket is closed"), Prospect.LATER),
        (error("something else"), Prospect.UNKNOWN),
    ],
)
def test_whether_another_try_may_work(raised: Any, prospect: Prospect) -> None:
    assert platform_error("h1", "migrate db1 to h2", raised).prospect is prospect


def test_a_host_that_is_not_reached_may_be_later() -> None:
    assert unreached("h1", "look", OSError(113, "No route to host")).prospect is Prospect.LATER
