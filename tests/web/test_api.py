"""The API does what pages do, with answers that programs can hold on to."""

from __future__ import annotations

import pytest

from balancer.domain.cluster import Cluster
from balancer.domain.plan import Plan
from balancer.reporting.plan_files import FileFormat, plan_file
from balancer.reporting.table import plan_csv
from balancer.saved import SavedCycle
from balancer.store.proposals import ProposalState
from balancer.store.tokens import Role
from tests.web.stage import Stage

API = "/api/v1"
READ = [
    "status",
    "snapshot",
    "hosts",
    "hosts/h1",
    "hosts/h1/history",
    "guests",
    "guests/a",
    "guests/a/explanation",
    "guests/a/history",
    "plan",
    "proposals",
    "runs",
    "events",
    "power",
    "savings",
    "policy",
    "cycles",
    "audit",
]


@pytest.mark.parametrize("path", READ)
def test_a_viewer_reads(path: str, small: Stage) -> None:
    answer = small.as_(Role.VIEWER).get(f"{API}/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.json() is not None


def test_what_it_says_is_what_our_own_formats_say(small: Stage) -> None:
    client = small.as_(Role.VIEWER)
    assert Plan.model_validate(client.get(f"{API}/plan").json()) == small.plan
    assert Cluster.model_validate(client.get(f"{API}/snapshot").json()).cluster == "small"
    saved = SavedCycle.model_validate(client.get(f"{API}/cycles/{small.plan.id}").json())
    assert saved.plan == small.plan
    assert client.post(f"{API}/cycles/{small.plan.id}/replay").json()["same"] is True


def test_a_plan_is_taken_away_in_the_formats_of_the_command_line(small: Stage) -> None:
    client, seen = small.as_(Role.VIEWER), small.door.published.cycle.seen
    for format in FileFormat:
        for name in (small.plan.id, "last"):
            answer = client.get(f"{API}/plans/{name}/file", params={"format": format})
            assert answer.text == plan_file(small.plan, seen, format)
            assert answer.headers["content-type"] == format.media_type
            assert answer.headers["content-disposition"].endswith(f'-{small.plan.id[:8]}.{format.ending}"')
    _, page = small.browser(Role.VIEWER).get(f"/plans/{small.plan.id}")
    for format in FileFormat:
        assert f'href="/api/v1/plans/{small.plan.id}/file?format={format}"' in page


def test_of_a_plan_whose_cluster_is_forgotten_the_steps_are_there_and_the_picture_is_not(fresh: Stage) -> None:
    client, first = fresh.as_(Role.VIEWER), fresh.plan
    fresh.cycle()
    fresh.service.chronicle._file(first.id).unlink()
    url = f"{API}/plans/{first.id}/file"
    assert client.get(url, params={"format": "csv"}).text == plan_csv(first)
    page = client.get(url, params={"format": "html"})
    assert (page.status_code, "take json or csv" in page.json()["detail"]) == (404, True)
    assert client.get(f"{API}/plans/none/file").status_code == 404


def test_status_is_the_sentence_and_the_numbers(small: Stage) -> None:
    said = small.as_(Role.VIEWER).get(f"{API}/status").json()
    assert said["sentence"].startswith("Move 2 guests")
    assert (said["hosts_on"], said["guests"], said["mode"], said["held"]) == (3, 4, "confirm", "")


def test_an_etag_spares_what_is_known_and_guards_what_is_decided(fresh: Stage) -> None:
    client, plan = fresh.as_(Role.OPERATOR), fresh.plan
    first = client.get(f"{API}/proposals/{plan.id}")
    etag = first.headers["etag"]
    assert client.get(f"{API}/proposals/{plan.id}", headers={"If-None-Match": etag}).status_code == 304
    url = f"{API}/proposals/{plan.id}/postpone"
    assert client.post(url, json={"minutes": 5}, headers={"If-Match": '"older"'}).status_code == 412
    assert client.post(url, json={"minutes": 5}, headers={"If-Match": etag}).status_code == 200
    assert client.post(url, json={"minutes": 5}, headers={"If-Match": etag}).status_code == 412
    again = client.get(f"{API}/proposals/{plan.id}", headers={"If-None-Match": etag})
    assert (again.status_code, again.json()["state"]) == (200, "postponed")


def test_the_same_key_does_a_thing_once(fresh: Stage) -> None:
    client, plan = fresh.as_(Role.OPERATOR), fresh.plan
    url, key = f"{API}/proposals/{plan.id}/approve", {"Idempotency-Key": "k1"}
    first = client.post(url, json={"steps": [plan.steps[0].id]}, headers=key)
    assert first.status_code == 200, first.text
    second = client.post(url, json={"steps": [plan.steps[0].id]}, headers=key)
    assert (second.status_code, second.json()) == (200, first.json())
    other = client.post(url, json={}, headers=key)
    assert (other.status_code, "another request" in other.json()["detail"]) == (409, True)
    assert client.post(url, json={}).status_code == 409  # without the key it is a second approval
    assert len(fresh.store.proposals.approved()) == 1


def test_a_part_that_is_not_safe_by_itself_is_refused_with_the_reason(fresh: Stage) -> None:
    policy = fresh.service._watched.path
    assert policy is not None
    policy.write_text(policy.read_text() + "budget: {moves: 1}\n")  # the plan was made for two
    fresh.service._watched.look()
    known = fresh.door.published
    fresh.service.board.publish(known.cycle, fresh.service._in_force(), known.loaded, known.policy_path)
    client, plan = fresh.as_(Role.OPERATOR), fresh.plan
    whole = client.post(f"{API}/proposals/{plan.id}/approve", json={})
    assert (whole.status_code, "the budget allows 1" in whole.json()["detail"]) == (409, True)
    part = client.post(f"{API}/proposals/{plan.id}/approve", json={"steps": [plan.steps[1].id]})
    assert part.status_code == 200
    assert fresh.store.proposals.of(plan.id).state is ProposalState.APPROVED  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "sent", "status", "says"),
    [
        ("proposals/none/approve", {}, 404, "no plan that people were asked about"),
        ("proposals/PLAN/approve", {"steps": ["s99"]}, 404, "is no step of this plan"),
        ("proposals/PLAN/approve", {"stepps": []}, 422, "Extra inputs are not permitted"),
        ("proposals/PLAN/reject", {}, 422, "why"),
        ("proposals/PLAN/postpone", {"minutes": -1}, 422, "greater than 0"),
        ("hosts/h9/drain", {}, 404, "is not in the site file"),
        ("abort", {"guest": "zz"}, 404, "no migration of this guest is under way"),
        ("policy/try", {"policy": "schema: balancer.policy/1\nmood: act"}, 422, "did you mean `mode`?"),
        ("policy/try", {"policy": "schema: balancer.policy/1\nextends: /etc/passwd"}, 422, "policy in force does not"),
        ("policy/try", {"policy": "schema: balancer.policy/1\nextends: ./other.yaml"}, 422, "in force does not"),
    ],
)
def test_what_cannot_be_done_is_a_problem_in_words(
    path: str, sent: dict[str, object], status: int, says: str, small: Stage
) -> None:
    answer = small.as_(Role.OPERATOR).post(f"{API}/{path.replace('PLAN', small.plan.id)}", json=sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert answer.json()["status"] == status


def test_a_power_test_is_an_admins_and_is_the_services_to_do(fresh: Stage) -> None:
    url = f"{API}/hosts/h2/power-test"
    assert fresh.as_(Role.OPERATOR).post(url).status_code == 403
    assert fresh.as_(Role.ADMIN).post(url).json() == {"is_new": True}
    assert fresh.as_(Role.ADMIN).post(url).json() == {"is_new": False}
    asked = fresh.service.board.next_power_test()
    assert asked is not None
    assert (asked.host, asked.who) == ("h2", "admin")
    assert fresh.as_(Role.ADMIN).post(f"{API}/hosts/h2/wake").json() == {"was_asked": False}  # it is on


def test_openapi_names_every_answer_and_needs_nothing_from_elsewhere(small: Stage) -> None:
    said = small.as_(Role.VIEWER).get(f"{API}/openapi.json")
    paths = said.json()["paths"]
    assert {f"{API}/{path}" for path in ("status", "pause", "resume", "abort", "policy/try")} <= paths.keys()
    assert all(path.startswith(API) for path in paths)
