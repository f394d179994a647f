"""A message arrives as it was written; what goes wrong is said without a word of the secret."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.notices import Severity
from balancer.errors import NoticeError, SiteError
from balancer.notifying.targets import redacted, sender, server_in
from balancer.notifying.whom import Message
from tests.notifying.drawing import rules
from tests.notifying.hook import Hook

OPS = rules().targets[0]
NOTHING = Path("/nonexistent")
TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=6, max_size=30)


@pytest.mark.parametrize(
    ("severity", "type_"),
    [(Severity.INFO, "info"), (Severity.WARNING, "warning"), (Severity.CRITICAL, "failure"), (None, "success")],
)
def test_a_message_arrives_with_its_weight(hook: Hook, severity: Severity | None, type_: str) -> None:
    sender(NOTHING)(OPS, Message("prod: h7 <does> *not* wake", "go & look\n- h7", severity))
    (got,) = hook.got
    assert (got["title"], got["message"], got["type"]) == ("prod: h7 <does> *not* wake", "go & look\n- h7", type_)


def test_a_secret_that_was_changed_counts_at_once(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    send = sender(NOTHING)
    monkeypatch.setenv("OPS", "json://127.0.0.1:1/")
    with pytest.raises(NoticeError):
        send(OPS, Message("t", "b", None))
    monkeypatch.setenv("OPS", hook.url)
    send(OPS, Message("t", "b", None))
    assert hook.titles == ["t"]


@pytest.mark.parametrize("url", ["nonsense", "foo://hunter22@host", "json://", "slack://hunter22", "mailto://hunter22"])
def test_a_url_that_apprise_does_not_understand_is_not_quoted(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPS", url)
    with pytest.raises(NoticeError, match="does not understand its URL") as failed:
        sender(NOTHING)(OPS, Message("t", "b", None))
    said = str(failed.value) + "".join(capfd.readouterr())
    assert "env:OPS" in said and "hunter22" not in said


def test_a_refusal_says_what_the_other_side_said_and_no_secret(hook: Hook, capfd: pytest.CaptureFixture[str]) -> None:
    hook.status = 403
    with pytest.raises(NoticeError, match="403") as failed:
        sender(NOTHING)(OPS, Message("t", "b", None))
    said = str(failed.value) + "".join(capfd.readouterr())
    assert "ops" in said and "hunter22" not in said and "secret-path" not in said


def test_a_secret_that_is_not_there_is_named_by_its_reference(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPS")
    with pytest.raises(SiteError, match="target ops: reading env:OPS"):
        sender(NOTHING)(OPS, Message("t", "b", None))


@given(TOKENS, TOKENS, TOKENS)
def test_no_part_of_a_url_is_left_in_what_is_said(user: str, password: str, token: str) -> None:
    url = f"slack://{token}/{user}/{quote(password + '@')}?key={token}"
    said = f"connecting to https://hooks.example/{user}/{token} as {password}@: {url} refused, {token.upper()}"
    left = redacted(said, url)
    assert not any(secret.lower() in left.lower() for secret in (user, password, token))
    assert "refused" in left or "refused" in {user, password, token}


def test_only_of_kinds_that_have_servers_of_ones_own_the_server_is_said() -> None:
    assert server_in("jsons://ann:secret@hook.example/x") == ("hook.example", 443)
    assert server_in("json://ann:secret@hook.example:8080/x") == ("hook.example", 8080)
    assert server_in("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ") is None
    assert server_in("json://hook.example:port/") is None
