"""Recorded history is small: some KiB a guest a day."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.recorded import bytes_a_guest_day


@pytest.mark.long
def test_a_guest_takes_less_than_sixteen_kib_a_day(tmp_path: Path) -> None:
    assert 100 < bytes_a_guest_day(20, 300, tmp_path) < 16 * 1024
