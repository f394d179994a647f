"""A risk is a share of the time, said as people say it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from balancer.policy import Policy


def risk_of(said: object) -> float | None:
    return Policy.model_validate({"demand": {"risk": said}}).demand.risk


@pytest.mark.parametrize(("said", "share"), [("0.1%", 0.001), ("5 %", 0.05), (0.001, 0.001), (None, None)])
def test_a_risk_is_a_share_or_a_percentage(said: object, share: float | None) -> None:
    assert risk_of(said) == pytest.approx(share)


@pytest.mark.parametrize("said", ["0.1", "often", "-1%", "50%", 0, 0.5, "0%"])
def test_a_risk_that_is_none_is_refused(said: object) -> None:
    with pytest.raises(ValidationError):
        risk_of(said)
