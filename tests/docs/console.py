"""Types what a page of the documentation shows after a `$`, and compares what is printed with what stands below it."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from balancer.cli import run
from balancer.commands.screen import err, out

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
COLUMNS = 100
LEFT_OUT = "..."


@dataclass(frozen=True)
class Typed:
    """A command of a page, and the lines that the page shows below it."""

    command: str
    shown: tuple[str, ...]


def typed_in(text: str) -> Iterator[Typed]:
    """Return each command of a page's console blocks."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.rstrip("\n").splitlines()
            yield Typed(command, tuple(line.rstrip() for line in shown))


class Desk:
    """A directory in which somebody follows a page, with the repository's docs/ beside."""

    def __init__(self, at: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("SITE", "POLICY", "SECRETS", "STATE"):
            monkeypatch.delenv(f"BALANCER_{name}", raising=False)
        for console in (out, err):
            monkeypatch.setattr(console, "_width", COLUMNS)
        monkeypatch.chdir(at)
        (at / "docs").symlink_to(DOCS)
        self._capsys = capsys

    def follows(self, typed: Typed) -> None:
        """Type a command; it has to print what the page shows."""
        said = self._says(typed.command)
        assert shows(typed.shown, said), f"$ {typed.command}\n" + "\n".join(said)

    def _says(self, command: str) -> list[str]:
        words = shlex.split(command)
        if words[0] != "balancer":
            subprocess.run(command, shell=True, check=True)
            return []
        arguments, _, file = " ".join(map(shlex.quote, words[1:])).partition(" '>' ")
        run(shlex.split(arguments))
        said = self._capsys.readouterr()
        if file:
            Path(file).write_text(said.out)
            return said.err.splitlines()
        return [line.rstrip() for line in (said.out + said.err).splitlines()]


def shows(shown: tuple[str, ...], said: list[str]) -> bool:
    """Whether lines are what a page shows of them, where `...` stands for any."""
    pattern = "".join(r"(?:.*\n)*?" if line == LEFT_OUT else re.escape(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in said)) is not None
