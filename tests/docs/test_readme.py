"""Links of README.md and CHANGELOG.md lead to files, and pictures are as they would be drawn today."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tests.docs.console import DOCS, ROOT


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_links_lead_to_files(page: str) -> None:
    at: Path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#]+)", at.read_text())
    assert links
    assert [link for link in links if not (at.parent / link).exists()] == []


def test_the_picture_of_a_plan_is_as_it_would_be_drawn_today() -> None:
    plan_picture = runpy.run_path(str(DOCS / "make_pictures.py"))["plan_picture"]
    assert plan_picture() == (DOCS / "plan.svg").read_text(), "run: python docs/make_pictures.py"
