"""A policy file that changes under a running service: a good one takes effect, a bad one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer.domain.plan import Mode
from balancer.errors import PolicyError
from balancer.policy import WatchedPolicy
from tests.policy.texts import HEAD, write


def test_nothing_is_new_while_nothing_changes(tmp_path: Path) -> None:
    watched = WatchedPolicy(write(tmp_path, p="seed: 1"))
    before = watched.policy
    reading = watched.look()
    assert (reading.is_news, reading.changed, watched.policy) == (False, "", before)


def test_a_change_takes_effect_and_is_said_in_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, p="constraints: [{kind: stay, name: pinned, vms: [a]}, {kind: stay, name: old, vms: [o]}]")
    watched = WatchedPolicy(path)
    write(
        tmp_path,
        p="mode: act\nheadroom: {cpu: 0.8}\nbudget: {moves: 5}\n"
        "constraints: [{kind: stay, name: pinned, vms: [a, b]}, {kind: stay, vms: [c]}]",
    )
    reading = watched.look()
    assert reading.changed == (
        "mode recommend -> act; headroom.cpu 0.9 -> 0.8; budget.moves nothing -> 5; "
        "constraint pinned changed; constraint stay c added; and 1 more"
    )
    assert (watched.policy.mode, reading.is_news, watched.look().is_news) == (Mode.ACT, True, False)


def test_a_change_of_any_file_in_the_chain_is_seen(tmp_path: Path) -> None:
    watched = WatchedPolicy(write(tmp_path, base="seed: 1", middle="extends: base.yaml", leaf="extends: middle.yaml"))
    write(tmp_path, base="seed: 2")
    assert watched.look().changed == "seed 1 -> 2"


def test_a_comment_changes_nothing_and_is_no_news(tmp_path: Path) -> None:
    path = write(tmp_path, p="seed: 1")
    watched = WatchedPolicy(path)
    path.write_text(path.read_text() + "\n# a remark\n")
    assert not watched.look().is_news


@pytest.mark.parametrize("how", ["bad", "gone", "no text"])
def test_a_bad_file_is_refused_once_and_the_old_policy_stays(tmp_path: Path, how: str) -> None:
    path = write(tmp_path, p="seed: 5")
    watched = WatchedPolicy(path)
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes((HEAD + "seed: x\nmode: akt\n").encode() if how == "bad" else b"\xff\xfe")
    first, second = watched.look(), watched.look()
    assert (first.is_news, second.is_news, watched.policy.seed) == (True, False, 5)
    assert len(first.refused) == len(watched.refused) == (2 if how == "bad" else 1)
    write(tmp_path, p="seed: 5")
    mended = watched.look()
    assert (mended.is_news, mended.changed, watched.refused) == (True, "", ())


def test_other_faults_are_news_again(tmp_path: Path) -> None:
    path = write(tmp_path, p="seed: 5")
    watched = WatchedPolicy(path)
    write(tmp_path, p="seed: x")
    assert watched.look().is_news
    write(tmp_path, p="seed: y")
    assert watched.look().is_news


def test_who_is_told_to_read_again_answers_in_any_case(tmp_path: Path) -> None:
    watched = WatchedPolicy(write(tmp_path, p="seed: 1"))
    assert watched.look(is_told_to=True).is_news


def test_cluster_and_mode_of_the_start_hold_after_a_change(tmp_path: Path) -> None:
    watched = WatchedPolicy(write(tmp_path, p="clusters: {lab: {seed: 2}}"), "lab", Mode.CONFIRM)
    write(tmp_path, p="mode: act\nclusters: {lab: {seed: 3}}")
    assert watched.look().changed == "seed 2 -> 3"
    assert (watched.policy.seed, watched.policy.mode) == (3, Mode.CONFIRM)


def test_a_service_does_not_start_under_a_bad_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        WatchedPolicy(write(tmp_path, p="seed: x"))


def test_without_a_file_the_default_policy_is_in_force() -> None:
    watched = WatchedPolicy(None)
    assert not watched.look().is_news
