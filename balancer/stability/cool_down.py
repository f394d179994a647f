"""After a move a guest is left in peace for a while, and so is a switched host; each failure in a row doubles it.

until = last touched + wait * 2^min(failures, 6)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

MOST_DOUBLINGS = 6  # with a quarter of an hour to begin with: at most 16 hours


def cooling_until(
    touched: Mapping[str, tuple[datetime, int]], wait_minutes: float, now: datetime
) -> dict[str, datetime]:
    """Return for each thing that is still cooling down until when; `touched` gives last touch and failures in a row."""
    wait = timedelta(minutes=wait_minutes)
    until = {key: at + wait * 2 ** min(failures, MOST_DOUBLINGS) for key, (at, failures) in touched.items()}
    return {key: moment for key, moment in until.items() if moment > now}
