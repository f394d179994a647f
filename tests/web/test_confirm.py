"""Plans that wait for a person, on the real service: what was approved is carried out, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.running import Served, served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as running:
        yield running


def test_what_is_approved_is_done_by_the_service_that_then_leaves_when_it_is_told_to(service: Served) -> None:
    oskar = service.as_("oskar")
    proposal = oskar.get("/proposals").json()[0]
    plan = oskar.get(f"/proposals/{proposal['plan_id']}").json()["plan"]
    wanted = min(plan["steps"], key=lambda step: step["seconds"])
    approved = oskar.post(f"/proposals/{plan['id']}/approve", json={"steps": [wanted["id"]], "why": "only this one"})
    assert approved.status_code == 200, approved.text

    # It is seen on its way, phase by phase, and the rest is left alone.
    service.waits_for(lambda: oskar.get(f"/proposals/{plan['id']}").json()["state"] == "ended")
    ended = oskar.get(f"/proposals/{plan['id']}").json()
    assert ended["outcome"].startswith("carried out 1 of 1 step")
    events = oskar.get("/events").json()
    assert {event["step_id"] for event in events} == {wanted["id"]}
    assert [event["what"] for event in events][-1] == "done"

    # A pause holds up what is approved next: it is asked of the world again and skipped, with the reason.
    assert oskar.post("/pause", json={"why": "lunch"}).json()["held"].startswith("paused by oskar")
    said = [(line["who"], line["what"]) for line in oskar.get("/audit").json()]
    assert said[:2] == [("oskar", "paused: lunch"), ("oskar", "approved 1 of 9 steps: only this one")]

    # With pages open it ends as cleanly as without.
    with oskar.stream("GET", f"{service.url}/live") as live:
        assert live.headers["content-type"].startswith("text/event-stream")
        assert service.leaves_with() == 0
    assert "Traceback" not in service.log.read_text()
