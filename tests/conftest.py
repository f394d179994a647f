"""What one test leaves in the process is not there for the next one."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from balancer import masking


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """Forget the secrets that a test had read, and log again what it had kept from the log."""
    known, disabled = masking._known, logging.root.manager.disable
    masking._known = known.copy()
    yield
    masking._known = known
    logging.disable(disabled)
