"""The page about notifications says what is so."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from balancer.domain.notices import URGENT, Alertmanager, Kind, Notify

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", PAGE, re.MULTILINE)]


def said(section: str) -> dict[str, Any]:
    (block,) = [block for block in BLOCKS if block.startswith(f"{section}:")]
    read: dict[str, Any] = YAML(typ="safe").load(block)[section]
    return read


def test_what_is_shown_is_taken() -> None:
    assert len(Notify.model_validate(said("notify")).targets) == 3
    shown = Alertmanager.model_validate(said("alertmanager"))
    assert shown.matchers == Alertmanager(url=shown.url).matchers
    (others,) = [block for block in BLOCKS if block.startswith("matchers:")]
    for line in others.splitlines():
        Alertmanager.model_validate({"url": shown.url, **YAML(typ="safe").load(line)})


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_is_told_of_and_which_do_not_wait(kind: Kind) -> None:
    (row,) = re.findall(rf"^\| `{kind}` \|.*\|$", PAGE, re.MULTILINE)
    assert ("| yes" in row) == (kind in URGENT)


def test_each_key_and_its_default_are_told() -> None:
    rows = {key: row for row in re.findall(r"^\| `.*$", PAGE, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    fields = Notify.model_fields
    assert set(fields) - set(rows) == set()
    for key in ("daily_at", "time_zone"):
        assert f"`{fields[key].default}`" in rows[key]
    minutes = ", ".join(f"{fields[key].default:.0f}" for key in ("after_minutes", "again_minutes", "over_minutes"))
    assert minutes in rows["after_minutes"]
