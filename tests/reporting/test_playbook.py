"""A plan as a playbook: what stands in it, in which order, and that no name in it is anything but data."""

from __future__ import annotations

from datetime import UTC, datetime
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.migration import MigrationOptions
from balancer.domain.plan import Action
from balancer.domain.site_file import SiteHost
from balancer.errors import InputError
from balancer.reporting.playbook import Terms, plan_playbook
from tests.drawing import NOON, cluster
from tests.reporting.playbooks import DRAWN, at_host, move, plan, playbook, terms, uri_of, uuid_of


def read(text: str) -> list[dict[str, Any]]:
    """Read a playbook as Ansible does: what it says is trusted to be a template, unless its tag says otherwise."""
    with NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as written:
        written.write(text)
        written.flush()
        plays = DataLoader().load_from_file(written.name, trusted_as_template=True)
    assert isinstance(plays, list)
    return plays


def templated(words: str, variables: dict[str, Any]) -> Any:
    """Return what Ansible makes of a template with a play's variables."""
    return Templar(DataLoader(), variables=variables).template(trust_as_template(words))


def waves(text: str) -> list[tuple[str, list[str]]]:
    """Return the plays that move guests: the name, and what it moves."""
    return [
        (play["name"], [each["what"] for each in play["vars"]["moves"]])
        for play in read(text)
        if "moves" in play.get("vars", {})
    ]


# -- order and content


def test_a_play_for_each_wave_and_in_it_what_runs_side_by_side() -> None:
    text = playbook(move(1, "a", "h1", "h2"), move(2, "b", "h1", "h3"), move(3, "d", "h2", "h3", wave=2))
    assert waves(text) == [
        ("Wave 1 of 2, 2 guests", ["s1, move a from h1 to h2", "s2, move b from h1 to h3"]),
        ("Wave 2 of 2, 1 guest", ["s3, move d from h2 to h3"]),
    ]
    first, *others = read(text)
    assert first["tasks"][0]["name"] == "Refuse a plan that is too old"
    assert all(play["hosts"] == "localhost" and play["connection"] == "local" for play in [first, *others])
    assert others[0]["tasks"] == others[1]["tasks"]


def test_one_move_as_virsh_is_told_of_it() -> None:
    near = SiteHost(name="h1", uri="qemu+ssh://root@h1/system")
    far = SiteHost(name="h2", uri=uri_of("h2"), peer_uri="qemu+tls://h2/system", migration_uri="tcp://10.0.0.2")
    told = Terms({"h1": near, "h2": far}, deadline_of=lambda seconds: 10 * seconds, bandwidth_mib_per_s=100.0)
    options = MigrationOptions(auto_converge=True, post_copy=True, tls=True, parallel=2, stop_seconds=0.5)
    text = plan_playbook(plan(move(1, "a", "h1", "h2", options=options, seconds=30.5)), DRAWN, told)
    variables = read(text)[1]["vars"]
    assert variables["deadline_seconds"] == 305
    assert variables["moves"] == [
        {
            "what": "s1, move a from h1 to h2",
            "guest": uuid_of("a"),
            "source": "h1",
            "before": "active on h1",
            "after": ["active on h2"],
            "source_uri": "qemu+ssh://root@h1/system",
            "target_uri": "qemu+tcp://h2/system",
            "peer_uri": "qemu+tls://h2/system",
            "options": [
                *("--live", "--p2p", "--abort-on-error", "--auto-converge", "--tls"),
                *("--parallel", "--parallel-connections", "2", "--migrateuri", "tcp://10.0.0.2", "--bandwidth", "100"),
                *("--postcopy", "--timeout", "31", "--timeout-postcopy", "--postcopy-bandwidth", "100"),
            ],
            "stop_ms": 500,
            "comes_from_a_stop": False,
        }
    ]
    assert [(look["what"], look["filters"]) for look in variables["looks"]] == [
        ("active on h1", []),
        ("active on h2", []),
        ("persistent on h1", ["--all", "--persistent"]),
        ("autostart on h1", ["--all", "--autostart"]),
    ]


def test_a_guest_that_is_shut_off_is_looked_for_among_those_and_sends_no_memory() -> None:
    (moved,) = read(playbook(move(1, "a", "h1", "h2", kind="cold"), bandwidth_mib_per_s=50.0))[1]["vars"]["moves"]
    assert (moved["before"], moved["after"]) == ("shut off on h1", ["shut off on h2"])
    assert (moved["options"], moved["stop_ms"]) == (["--offline", "--p2p"], 0)


def test_a_guest_that_steps_aside_is_known_on_each_of_its_stops() -> None:
    text = playbook(move(1, "a", "h1", "h3"), move(2, "a", "h3", "h2", wave=2))
    first, second = (play["vars"] for play in read(text)[1:])
    assert first["moves"][0]["after"] == ["active on h3", "active on h2"]
    assert second["moves"][0]["after"] == ["active on h2"]
    assert [look["has_to_answer"] for look in first["looks"]] == [True, True, False, True, True], "h2 may sleep still"
    assert second["moves"][0]["comes_from_a_stop"]


def test_no_more_side_by_side_than_the_policy_lets() -> None:
    moves = [move(n, vm, "h1", "h2") for n, vm in enumerate("abcde", start=1)]
    assert [len(moved) for _, moved in waves(playbook(*moves, concurrent=2))] == [2, 2, 1]
    assert waves(playbook(*moves, concurrent=3))[1][0] == "Wave 1 of 1, part 2 of 2, 2 guests"
    sites = cluster("h1 64 site=north: a=8 b=8 c=8 | h2 64 site=south: | h3 64 site=north:")
    crossing = [move(1, "a", "h1", "h2"), move(2, "b", "h1", "h2"), move(3, "c", "h1", "h3"), move(4, "d", "h1", "h2")]
    shared_out = waves(playbook(*crossing, drawn=sites, concurrent_between_sites=2))
    assert [[said[:2] for said in moved] for _, moved in shared_out] == [["s1", "s2", "s3"], ["s4"]]


def test_who_wakes_is_named_first_and_waited_for_before_guests_go_there() -> None:
    text = playbook(
        at_host(1, Action.POWER_ON, "h4"),
        at_host(2, Action.WAIT_READY, "h4", wave=2),
        move(3, "a", "h1", "h4", wave=3),
        wake_deadline_seconds=300.0,
    )
    _, wake, wait, carry = read(text)
    assert [play["name"] for play in (wake, wait, carry)] == [
        "Wave 1 of 3, hosts that have to be on",
        "Wave 2 of 3, wait for hosts that wake",
        "Wave 3 of 3, 1 guest",
    ]
    assert wake["vars"]["woken"] == ["h4"]
    assert "balancer power wake" in wake["tasks"][0]["ansible.builtin.debug"]["msg"]
    assert wait["vars"]["woken"] == [{"name": "h4", "uri": uri_of("h4")}]
    assert wait["tasks"][0]["retries"] * wait["tasks"][0]["delay"] == 300


def test_no_power_is_cut_and_a_comment_says_where_the_balancer_would() -> None:
    off = (at_host(2, Action.CORDON, "h1"), at_host(3, Action.POWER_OFF, "h1", wave=2, how="soft"))
    text = playbook(move(1, "a", "h1", "h2"), *off)
    assert len(read(text)) == 2, "what is too old, and one wave"
    assert text.rstrip().endswith(
        "# s3: balancer itself would now switch h1 off, if each of its conditions held. This playbook does not."
    )
    tested = playbook(at_host(1, Action.POWER_OFF, "h1", test=True))
    assert "switch h1 off and on to prove that it wakes" in tested


def test_a_plan_that_moves_nothing_is_a_playbook_that_moves_nothing() -> None:
    assert len(read(playbook())) == 1


def test_a_plan_is_refused_once_it_is_too_old() -> None:
    until = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
    text = plan_playbook(plan(move(1, "a", "h1", "h2"), valid_until=until), DRAWN, terms())
    (task,) = read(text)[0]["tasks"]
    assert task["ansible.builtin.assert"]["that"] == f"now().timestamp() <= {until.timestamp():.0f}"
    assert "2026-11-23 12:30 UTC" in task["ansible.builtin.assert"]["fail_msg"]
    assert until > NOON


# -- what it leaves to the balancer


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"kind": "warm"}, "stops the guest when little is left to copy"),
        ({"kind": "cold", "options": MigrationOptions(restart=True)}, "restarts the guest"),
        ({"options": MigrationOptions(copy_storage="all")}, "copies a disk"),
        ({"vm_id": None}, "does not say the guest's UUID"),
        ({"vm_id": "12"}, "does not say the guest's UUID"),
        ({"target": "h9"}, "h9: has no connection URI in the site file"),
    ],
)
def test_a_plan_that_it_could_not_carry_out_whole_is_refused(more: dict[str, Any], said: str) -> None:
    step = move(2, "b", "h1", "h3").model_copy(update=more)
    with pytest.raises(InputError) as refused:
        playbook(move(1, "a", "h1", "h2"), step)
    assert said in str(refused.value)
    assert len(refused.value.faults) == 1


# -- names


HOSTILE = st.text(min_size=1, max_size=300) | st.sampled_from(
    [
        "{{ lookup('ansible.builtin.env', 'PATH') }}",
        "{% raw %}",
        "a'b\"c: d # e",
        "\\",
        "a\n- name: evil\n  hosts: all",
        "\u2028- hosts: all",
        "\x85- hosts: all",
        " " * 300,
        "@`*&!%|>",
        "--all",
        "yes",
        "0x10",
        "größe 🐘",
    ]
)


@settings(max_examples=60, deadline=None)
@given(vm=HOSTILE, host=HOSTILE.filter(lambda name: name != "h2"), policy=HOSTILE)
def test_whatever_a_site_calls_its_guests_and_hosts_it_is_data(vm: str, host: str, policy: str) -> None:
    steps = (
        move(1, vm, host, "h2"),
        at_host(2, Action.POWER_ON, host),
        at_host(3, Action.WAIT_READY, host),
        at_host(4, Action.POWER_OFF, host),
    )
    sites = Terms({**terms("h2").hosts, host: SiteHost(name="h", uri=f"x:{host}")}, deadline_of=lambda _: 60)
    named = plan(*steps).model_copy(update={"cluster": policy})
    _, wake, carry, wait = read(plan_playbook(named, cluster("h2 64:"), sites))
    moved = templated("{{ moves[0] }}", carry["vars"])
    assert moved["what"] == f"s1, move {vm} from {host} to h2"
    assert (moved["before"], moved["source"], moved["source_uri"]) == (f"active on {host}", host, f"x:{host}")
    assert templated("{{ looks[0] }}", carry["vars"])["what"] == f"active on {host}"
    assert templated("{{ woken }}", wake["vars"]) == [host]
    assert templated("{{ woken }}", wait["vars"]) == [{"name": host, "uri": f"x:{host}"}]
    assert carry["tasks"] == read(playbook(move(1, "a", "h1", "h2")))[1]["tasks"]
