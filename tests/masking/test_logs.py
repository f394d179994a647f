"""Whatever goes into the log, and wherever in it: no secret comes out, and each line is JSON where nobody watches."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from balancer import masking
from balancer.commands.logs import log_what_nobody_caught, set_up_logs
from balancer.masking import MASK, never_say
from balancer.secrets import read_secret


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(masking, "_known", masking._Known())
    handlers = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def logged(monkeypatch: pytest.MonkeyPatch, form: str | None, into: io.StringIO) -> io.StringIO:
    """Set up the log as a process does, and have it written to a text."""
    monkeypatch.delenv("BALANCER_LOG_FORMAT", raising=False)
    if form is not None:
        monkeypatch.setenv("BALANCER_LOG_FORMAT", form)
    monkeypatch.setattr(sys, "stderr", into)
    set_up_logs(verbose=False)
    return into


SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=5, max_size=30).filter(str.strip)


@st.composite
def hidings(draw: st.DrawFn) -> tuple[str, dict[str, Any], Exception | None]:
    """Draw a secret, and an event that has it somewhere."""
    secret = draw(SECRETS)
    urls = st.sampled_from(
        [
            f"http://ann:{quote(secret, safe='')}@db.example/x",
            f"https://{quote(secret, safe='')}@db.example/x",
            f"http://db.example/x?token={quote(secret, safe='')}&n=1",
        ]
    )
    around = st.sampled_from(["", " ", "'", '"', "=", ": ", "é", "x"])
    texts = st.builds("{}{}{}".format, around, st.just(secret), around) | urls
    leaves = texts | texts.map(str.encode) | texts.map(ValueError) | texts.map(Path) | st.integers(0, 9) | st.none()
    names = st.sampled_from(["cause", "way_out", "host", "facts"])
    nested = st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(names | texts, inner, max_size=3)
        ),
        max_leaves=6,
    )
    event: dict[str, Any] = {"event": draw(st.just("a sentence") | texts), "given": draw(nested)}
    return secret, event, draw(st.none() | st.lists(texts, min_size=1, max_size=3).map(chained))


def chained(said: list[str]) -> Exception:
    """Return an exception that was raised because of another one, each quoting the one before."""
    failed: Exception = ValueError(said[0])
    for number, each in enumerate(said[1:]):
        outer: Exception = RuntimeError(each, failed) if number else ExceptionGroup(each, [failed])
        outer.add_note(each)
        outer.__cause__ = failed
        failed = outer
    return failed


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("is_foreign", [False, True])
@settings(max_examples=200, deadline=None)
@given(hiding=hidings())
def test_a_secret_goes_in_anywhere_and_comes_out_nowhere(
    form: str, is_foreign: bool, hiding: tuple[str, dict[str, Any], Exception | None]
) -> None:
    secret, event, failed = hiding
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masking, "_known", masking._Known())
        never_say(secret)
        harmless = logged(patch, form, io.StringIO())
        say({"event": "a sentence", "given": [{"cause": MASK, "facts": MASK}]}, chained(["a", "b", "c"]), is_foreign)
        assume(secret not in harmless.getvalue() + "".join(map(str, range(10))))
        written = logged(patch, form, io.StringIO())
        say(event, failed, is_foreign)
        line = written.getvalue()
    assert line.strip()
    for hidden in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
        assert hidden not in line
    if form == "json":
        assert len(line.splitlines()) == 1 or "\u2028" in line or "\x85" in line
        json.loads(line)


def say(event: dict[str, Any], failed: Exception | None, is_foreign: bool) -> None:
    if is_foreign:
        extra = {"given": event["given"]}
        logging.getLogger("library").error("%s", event["event"], extra=extra, exc_info=failed)
    else:
        structlog.get_logger().error(**event, exc_info=failed)


def test_a_log_is_json_where_nobody_watches_and_text_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for form, into, is_json in (
        (None, io.StringIO(), True),
        (None, Terminal(), False),
        ("text", io.StringIO(), False),
        ("json", Terminal(), True),
    ):
        written = logged(monkeypatch, form, into)
        structlog.get_logger().info("Move 4 guests", plan="p1", gap=0.01)
        assert written.getvalue().startswith("{") == is_json
    assert json.loads(written.getvalue()) | {"timestamp": ""} == {
        "event": "Move 4 guests",
        "plan": "p1",
        "gap": 0.01,
        "level": "info",
        "timestamp": "",
    }


def test_what_a_library_warns_of_is_a_line_of_the_same_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    written = logged(monkeypatch, None, io.StringIO())
    logging.getLogger("apscheduler.scheduler").info("too much detail")
    logging.getLogger("apscheduler.scheduler").warning("Run time of job %s was missed", "cycle")
    (said,) = map(json.loads, written.getvalue().splitlines())
    assert (said["event"], said["level"]) == ("Run time of job cycle was missed", "warning")
    assert said["logger"] == "apscheduler.scheduler"


def test_what_nobody_caught_is_logged_without_its_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bmc").write_text("hunter2\n")
    read_secret("file:bmc", tmp_path, "hv1")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    written = logged(monkeypatch, None, io.StringIO())
    log_what_nobody_caught()
    wrong = ValueError("login with hunter2 failed")
    sys.excepthook(ValueError, wrong, None)
    thread = threading.Thread(target=lambda: int("hunter2"), name="feed")
    thread.start()
    thread.join()
    first, second = map(json.loads, written.getvalue().splitlines())
    assert f"login with {MASK} failed" in first["exception"]
    assert second["thread"] == "feed" and "Traceback" in second["exception"] and "hunter2" not in second["exception"]
