"""Ten minutes of a real cluster is rehearsed: what was decided live is decided again, or it is said why."""

from __future__ import annotations

import signal
import time

import pytest

from balancer.domain.rehearsed import Rehearsed
from balancer.formats import read
from balancer.lived import UNKNOWN

from .lab import Lab
from .product import Product
from .test_stories import EVEN, all_still_count, product, small_site, start_guests

__all__ = ["product"]

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(1800)]

A_BUCKET = 300.0
EACH_MINUTE = EVEN + "\ninterval_seconds: 60\n"


def test_what_a_real_cluster_lived_is_decided_again_or_it_is_said_why_not(product: Product, lab: Lab) -> None:
    small_site(product)
    product.has_policy(EACH_MINUTE)
    homes = {"web": "hv1", "mail": "hv1", "shop": "hv2", "wiki": "hv2", "dns": "hv3"}
    counters = start_guests(lab, homes, load_percent=6)
    service = product.serves()
    try:
        time.sleep(A_BUCKET)
        for name in ("web", "mail"):
            lab.set_load(name, 40)
        time.sleep(A_BUCKET)
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(120)
    assert all_still_count(lab, counters)

    out = product.directory / "found.json"
    said = product.says("simulate", "--site", str(product.site), "--policy", str(product.policy), "--out", str(out))
    found = read(out, Rehearsed)
    assert found.step_seconds == A_BUCKET
    assert found.lived is not None, said
    assert found.lived.looks >= 1, said
    for parting in found.lived.partings:
        assert UNKNOWN not in parting.why, said
    assert "it decides what was decided live; something was to be done at" in " ".join(said.split())
