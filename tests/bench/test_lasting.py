"""A longer rehearsal takes no more memory, but for the record itself and what was found."""

from __future__ import annotations

import pytest

from tests.bench.lasting import in_a_process_of_its_own


@pytest.mark.long
def test_a_rehearsal_of_four_times_the_steps_takes_hardly_more_memory() -> None:
    short, long = (in_a_process_of_its_own(4, days) for days in (0.1, 0.4))
    assert long.mib < short.mib + 30
