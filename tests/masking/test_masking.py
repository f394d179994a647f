"""What is secret is in no text, wherever it stood and however it was written."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest

from balancer import masking
from balancer.errors import PowerError
from balancer.masking import MASK, masked, masked_value, never_say


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_known", masking._Known())


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("no answer from http://ann:p%40ss@db.example:8086/x", f"no answer from http://ann:{MASK}@db.example:8086/x"),
        ("https://tok3n@git.example/x", f"https://{MASK}@git.example/x"),
        ("postgresql+psycopg://u:a@b@db/x?a=1", f"postgresql+psycopg://u:{MASK}@db/x?a=1"),
        ("GET /query?db=x&p=abc&q=1", f"GET /query?db=x&p={MASK}&q=1"),
        ("GET /x?access_token=abc", f"GET /x?access_token={MASK}"),
        ("host=db password='a b' user=ann", f"host=db password={MASK} user=ann"),
        ("{'Authorization': 'Basic YWRhOnBhc3M=', 'a': 1}", f"{{'Authorization': '{MASK}', 'a': 1}}"),
        ("sent Bearer abcdefgh12 to it", f"sent Bearer {MASK} to it"),
        ("who shows balancer_" + "a" * 43 + "?", f"who shows {MASK}?"),
    ],
)
def test_a_secret_is_known_by_where_it_stands(said: str, left: str) -> None:
    assert masked(said) == left


@pytest.mark.parametrize(
    "said",
    [
        "connecting to qemu+ssh://root@hv1/system: no route to host",
        "Move 4 guests, h4 may sleep in 12 min; gap 0.8 %",
        "remove the token monitoring: there is none",
        "hv1: reading file:hv1-bmc: no such file or directory",
        "balancer_plan_gap_ratio and balancer_seen_timestamp_seconds",
        "sqlite:////var/lib/balancer/balancer.db",
        "http://[::1]:8230/hosts/a@b",
    ],
)
def test_what_is_none_is_left_as_it_is(said: str) -> None:
    assert masked(said) == said


def test_a_secret_is_known_by_its_name_however_deep() -> None:
    said = {"bmc": [{"user": "ann", "Password": "p", "secret_ref": "file:hv1", "more": {"API-key": "x", "api_key": 7}}]}
    assert masked_value(said) == {
        "bmc": [{"user": "ann", "Password": MASK, "secret_ref": "file:hv1", "more": {"API-key": "x", "api_key": MASK}}]
    }


def test_numbers_stay_numbers_and_are_json_unless_they_are_a_secret() -> None:
    never_say("481516")
    assert masked_value([1, 0.25, True, None, 481516, float("nan")]) == [1, 0.25, True, None, MASK, "nan"]


WRITTEN: list[Callable[[str], str]] = [
    str,
    repr,
    json.dumps,
    quote,
    quote_plus,
    html.escape,
    lambda secret: base64.b64encode(secret.encode()).decode(),
    lambda secret: repr(secret.encode()),
    lambda secret: repr(ValueError(f"'{secret}' is \"wrong\"")),
    lambda secret: repr(RuntimeError(repr(ValueError(secret)))),
]


@pytest.mark.parametrize("secret", ["hunter2", "p@ss/wörd", 'it\'s a "secret"', "back\\slash", "two\nlines", "<&>+ %"])
def test_a_secret_that_was_read_is_masked_however_it_is_written(secret: str) -> None:
    never_say(secret)
    for written in WRITTEN:
        assert set(parts(secret, written)).isdisjoint(words(masked(f"before {written(secret)} after"))), written
        assert masked(f"before {written(secret)} after").startswith("before ")


def parts(secret: str, written: Callable[[str], str]) -> Iterator[str]:
    yield from (secret, written(secret), written(secret).strip("'\""))


def words(text: str) -> set[str]:
    return {text[begin:end] for begin in range(len(text)) for end in range(begin + 4, len(text) + 1)}


def test_of_two_secrets_that_begin_alike_nothing_is_left() -> None:
    never_say("abcd")
    never_say("abcdefgh")
    assert masked("abcdefgh abcd") == f"{MASK} {MASK}"


def test_what_is_too_short_to_be_looked_for_is_masked_by_its_name_alone() -> None:
    never_say("abc")
    assert masked("abcabc") == "abcabc"
    assert masked_value("abc", "password") == MASK


def test_what_a_bmc_says_of_a_password_that_was_read_is_in_no_error() -> None:
    never_say("hunter2")
    failed = PowerError("hv1", "switching it on with hunter2", "refused: user ann, password hunter2")
    assert "hunter2" not in f"{failed} {failed.cause} {failed.operation} {failed!r} {failed.args}"
