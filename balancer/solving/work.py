"""How much a search may do, and what it takes for a gain."""

from __future__ import annotations

GAIN = 1e-10  # smaller gains are rounding


class Work:
    """Counts what the search does and tries, so that it ends by effort and not by the clock."""

    def __init__(self, limit: int) -> None:
        self.limit, self.done = limit, 0

    @property
    def is_over(self) -> bool:
        return self.done >= self.limit

    def one_more(self, count: int = 1) -> bool:
        self.done += count
        return self.done <= self.limit
