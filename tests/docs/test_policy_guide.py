"""docs/policy-guide.md: each recipe is a policy without a fault, and its commands print what it says that they do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.constraints import KINDS as CONSTRAINTS
from balancer.objectives import KINDS as OBJECTIVES
from balancer.policy import load_policy
from tests.docs.console import DOCS, ROOT, Desk, Typed, typed_in

PAGE = (DOCS / "policy-guide.md").read_text()


@dataclass(frozen=True)
class Recipe:
    """A wish, the policy that grants it, and what is typed to see that it does."""

    wish: str
    policy: str
    typed: tuple[Typed, ...]

    @property
    def is_of_a_fault(self) -> bool:
        return any(typed.command.startswith("balancer check") for typed in self.typed)


def recipes() -> list[Recipe]:
    found = []
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        wish, _, text = section.partition("\n")
        (policy,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        found.append(Recipe(wish, policy, tuple(typed_in(text))))
    return found


RECIPES = recipes()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.wish)
def test_a_recipe_is_a_policy_that_does_what_the_page_says(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, capsys, monkeypatch)
    Path("mine.yaml").write_text(recipe.policy)
    if not recipe.is_of_a_fault:
        assert run(["check", "--strict", "mine.yaml"]) == 0, capsys.readouterr()
    capsys.readouterr()
    for typed in recipe.typed:
        desk.follows(typed)


def test_the_guide_has_a_recipe_for_each_kind_of_promise_and_wish() -> None:
    written = "".join(recipe.policy for recipe in RECIPES)
    examples = [kind.example for kind in CONSTRAINTS if kind.example]  # `headroom: {...`, or `{kind: apart, ...`
    openings = [re.match(r"\{kind: \w+,|\w+: \{", example) for example in examples]
    assert [opening[0] for opening in openings if opening and opening[0] not in written] == []
    assert all(openings)
    ready = "".join(path.read_text() for path in (ROOT / "policies").glob("*.yaml"))
    assert {kind.kind for kind in OBJECTIVES if f"{kind.kind}:" not in written + ready} == set()


def test_the_guide_says_for_whom_each_ready_policy_is() -> None:
    named = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE))
    assert named == {load_policy(path).name for path in (ROOT / "policies").glob("*.yaml")}
