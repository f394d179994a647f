"""docs/troubleshooting.md has an entry for each reason, doubt, state, condition and alarm that people are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import get_args

import pytest

from balancer.doctor import CHECKS
from balancer.domain.host import DoubtKind, HostState
from balancer.domain.plan import Because
from balancer.domain.rehearsed import Odd
from balancer.execution.recovery import Verdict
from balancer.execution.report import Result
from balancer.platforms.libvirt import words
from balancer.store.power_tests import TestResult
from balancer.store.proposals import ProposalState
from tests.docs.console import DOCS
from tests.docs.sentences import assigned_to, files, returned_by, said_by, yielded_by

PAGE = (DOCS / "troubleshooting.md").read_text()
RULE = re.compile(r"^\|(?:-+\|)+$")

Row = tuple[str, ...]


def rows_under(heading: str = "") -> list[Row]:
    """Return the entries under a heading, or all: what is seen, what it means, the way out."""
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    lines = [line for each in sections if each.startswith(heading) for line in each.splitlines()]
    bodies = [line for line, next_one in zip(lines, [*lines[1:], ""], strict=True) if not RULE.match(next_one)]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in bodies if line.startswith("| ")]


def plain(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def without_an_entry(said: Iterable[str], rows: list[Row]) -> list[str]:
    """Return the words that stand in no entry: what is seen, or what is done about it."""
    entries = [plain(" ".join(row)) for row in rows]
    return sorted(each for each in said if not any(plain(each) in entry for entry in entries))


def test_each_entry_says_what_it_means_and_the_way_out() -> None:
    assert [row for row in rows_under() if len(row) != 3 or not all(row)] == []
    assert len(rows_under()) > 150


def test_each_reason_has_an_entry_by_its_sentence_and_its_code() -> None:
    entries = [plain(row[0]) for row in rows_under("A guest or a host is left alone")]
    wanted = [f"{plain(because.sentence)} ({because.value})" for because in Because]
    assert [each for each in wanted if each not in entries] == []
    assert [each for each in entries if each not in wanted] == []


@pytest.mark.parametrize(
    ("heading", "known"),
    [
        ("Something is in doubt", get_args(DoubtKind)),
        ("How a step ended", [*Result, *{Verdict.ADOPTED, Verdict.UNDONE}]),
        ("Plans that wait", [*ProposalState, *TestResult]),
        ("What a host is doing", HostState),
        ("A record with oddities", Odd),
    ],
)
def test_each_word_for_a_state_has_an_entry(heading: str, known: Iterable[str]) -> None:
    seen = [row[0] for row in rows_under(heading)]
    assert [word for word in known if not any(f"`{word!s}`" in words for words in seen)] == []


def test_each_check_of_the_doctor_has_an_entry() -> None:
    assert [row[0] for row in rows_under("Findings of the doctor")] == [check.name for check in CHECKS]


ERRORS = ("SiteError", "PlatformError", "PowerError", "StoreError", "HistoryError", "NoticeError")
SITE = files("*.py", "platforms/libvirt/*.py", "power/*.py", "store/*.py", "history/*.py", "notifying/*.py")
SAID = {
    "conditions of a shutdown": returned_by("execution/conditions.py"),
    "whose BMC it is": returned_by("execution/identity.py") | assigned_to("execution/identity.py", "words"),
    "looks before a move": returned_by("execution/rechecks.py"),
    "questions to both ends": yielded_by("platforms/libvirt/preflight.py"),
    "why it cannot run": returned_by("domain/reach.py"),
    "what holds it back": returned_by("store/halts.py", "__str__")
    | returned_by("execution/acting_site.py", "why_held"),
    "health": returned_by("service/health.py"),
    "alarms": {each for file in files("execution/*.py") for each in said_by(file, "Ending", 1, "alarm=True")},
    "alarms at a start": said_by("execution/recovery.py", "_say", 2, "alarm=True"),
    "findings": {
        each for file in files("doctor/checks/*.py") for each in said_by(file, "Finding", 1, "FAULT", "WARNING")
    },
    "remarks on hosts": said_by("beginning/remarks.py", "Remark", 2) | assigned_to("beginning/remarks.py", "words"),
    "BMCs": {each for file in files("power/*.py") for each in said_by(file, "Words", 0)},
    "errors": {each for file in SITE for kind in ERRORS for each in said_by(file, kind, 2)},
    "causes": {each for file in SITE for each in assigned_to(file, "cause")},
    "libvirt": {said for said, _ in words._WAYS_OUT_BY_WORDS},
}


@pytest.mark.parametrize("kind", SAID)
def test_each_sentence_that_people_are_shown_has_an_entry(kind: str) -> None:
    assert SAID[kind], "the code says nothing of this kind any more: is it another place now?"
    assert without_an_entry(SAID[kind], rows_under()) == []
