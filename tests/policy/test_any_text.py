"""Whatever is done to a policy file, its author gets faults in words, never a traceback."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.errors import PolicyError
from balancer.policy import load_policy

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "configs" / "policy.example.yaml").read_text().splitlines()
WORDS = [
    *[":", "-", "{", "}", "[", "]", ",", "#", "&", "*", "!", "|", ">", "'", '"', "%", "@", "`", "\t", "~"],
    "null",
    "<<: *a",
    "22:00",
    "-1",
    "extends",
    "when",
    "~",
]


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    """Take the example policy and leave out, double, swap, indent or spoil some of its lines."""
    lines = list(EXAMPLE)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["out", "twice", "in", "cut", "word", "swap"])):
            case "out" if len(lines) > 1:
                del lines[place]
            case "twice":
                lines.insert(place, lines[place])
            case "in":
                lines[place] = " " * draw(st.integers(1, 5)) + lines[place]
            case "cut":
                lines[place] = lines[place][: draw(st.integers(0, max(0, len(lines[place]) - 1)))]
            case "word":
                cut = draw(st.integers(0, len(lines[place])))
                lines[place] = lines[place][:cut] + draw(st.sampled_from(WORDS)) + lines[place][cut:]
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[place], lines[other] = lines[other], lines[place]
    return "\n".join(lines)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=spoilt())
def test_a_spoilt_policy_is_told_in_words(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "spoilt.yaml"
    path.write_text(text)
    with suppress(PolicyError):  # anything else that is raised fails the test
        assert load_policy(path).name
