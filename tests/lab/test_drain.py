"""A host of a real cluster is drained: who can leave has left, alive; who cannot is named with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from .lab import Lab
from .product import Product
from .test_stories import all_still_count, start_guests

pytestmark = pytest.mark.lab

# Three copies of a database on three hosts: with one host drained there is no place for all of them.
RULES = """\
objectives: {even_load: {weight: 1}, few_moves: {weight: 0.02}}
constraints: [{kind: apart, name: db-apart, vms: [db1, db2, db3]}]
"""


@pytest.fixture
def product(lab: Lab, tmp_path: Path) -> Product:
    product = Product(lab, tmp_path)
    product.has_site()
    product.has_policy(RULES)
    return product


def test_a_drained_host_lets_go_of_those_who_can_leave_and_names_those_who_cannot(product: Product, lab: Lab) -> None:
    counters = start_guests(lab, {"db1": "hv2", "db2": "hv2", "db3": "hv3", "web": "hv2"}, load_percent=5)
    counters |= start_guests(lab, {"files": "hv2"}, load_percent=5, disk="local")

    shown = product.says("host", "drain", "hv2", "--why", "new fans", code=3)
    assert "hv2 is drained: it takes no guests" in shown
    assert "the policy's mode is recommend: balancer host drain hv2 --mode act" in shown
    assert lab.where("web") == ["hv2"]
    assert product.sees().host("hv2").state == "draining"

    said = product.says("host", "drain", "hv2", "--mode", "act", "--wait", code=3)
    (stays,) = (name for name in ("db1", "db2") if lab.where(name) == ["hv2"])
    (left,) = {"db1", "db2"} - {stays}
    assert lab.where(left) == ["hv1"], said
    assert lab.where("web") in (["hv1"], ["hv3"])
    assert lab.where("files") == ["hv2"]
    assert "files stays on hv2: may not be moved (its disk" in said
    assert f"{stays} stays on hv2: no other host is allowed to carry it (" in said
    assert "db-apart" in said
    assert all_still_count(lab, counters)

    # The next process knows of it, and a cycle that acts leaves things as they are.
    listed = " ".join(product.says("host", "list").split())
    assert "new fans" in listed
    assert "files: may not be moved" in listed
    product.acts()
    assert lab.where("web") != ["hv2"]

    assert "hv2 takes guests again" in product.says("host", "undrain", "hv2")
    assert product.sees().host("hv2").state == "up"
    assert all_still_count(lab, counters)


def test_an_emptied_host_is_free_to_work_on_and_stays_so_through_a_reboot(product: Product, lab: Lab) -> None:
    counters = start_guests(lab, {"web": "hv2", "mail": "hv2"}, load_percent=5)
    said = product.says("host", "drain", "hv2", "--mode", "act", "--wait")
    assert "hv2 is empty, you may work on it" in said
    lab.power_off("hv2")
    product.says("plan", code=None)
    assert product.sees().doubts == ()
    lab.power_on("hv2")
    lab.wait_for_host("hv2")
    seen = product.sees()
    assert (seen.host("hv2").state, seen.active_on("hv2")) == ("draining", ())
    assert all_still_count(lab, counters)
