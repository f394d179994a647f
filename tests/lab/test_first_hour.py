"""docs/first-hour.md, walked as it stands: its own commands in a shell, its own buttons in a browser, on the lab."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import bmc
from .lab import Lab
from .names import FIRST_BMC_PORT, SUBNET
from .test_stories import all_still_count, start_guests, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "first-hour.md").read_text()
CHROMIUM = shutil.which("chromium") or ""

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.skipif(not CHROMIUM, reason="Debian's chromium is missing: apt-get install chromium"),
]

LAB_INSTEAD = {
    "sudo apt-get install -y python3-venv python3-dev gcc pkg-config libvirt-dev": "true",  # tests/lab/install.sh did
    "read -rsp 'Password of the BMCs: ' BALANCER_INIT_BMC_PASSWORD": f"BALANCER_INIT_BMC_PASSWORD={bmc.PASSWORD}",
    "192.0.2.[11-13]": f"{SUBNET}.[11-13]",
    "qemu+ssh://root@{address}/system": "qemu+tcp://{address}/system",  # the lab's SSH key is not in root's own ~/.ssh
    "198.51.100.{n}": f"127.0.0.1:{FIRST_BMC_PORT // 10}{{n}}",  # its BMCs are ports of this machine
}
"""All that differs from the document; besides, the dashboard has a port that is free."""

MEANT = {"balancer plan": 2}
"""Exit codes that are meant and are not 0."""

IMPATIENT_SECONDS = 180


class Shell:
    """The shell of somebody who types line after line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def does(self, command: str) -> str:
        """Return what a command says; it has to leave with 0, or with what is meant."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\nprintf '\\nleft with %s.\\n' $?\n")
        self.process.stdin.flush()
        said = ""
        for line in self.process.stdout:
            if left := re.fullmatch(r"left with (\d+)\.\n", line):
                assert int(left[1]) == MEANT.get(command, 0), f"{command}\n{said}"
                return said
            said += line
        raise AssertionError(f"the shell ended:\n{said}")


@contextmanager
def shell(at: Path, **settings: str) -> Iterator[Shell]:
    """A shell that knows nothing of the balancer yet; what it has started ends with it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BALANCER_", "PYTHONPATH"))}
    with subprocess.Popen(
        ["bash"],
        cwd=at,
        env={**kept, **settings},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        begun = Shell(process)
        try:
            yield begun
        finally:
            if process.poll() is None:
                process.stdin.write("kill %1; wait\n")  # type: ignore[union-attr]
                process.stdin.close()  # type: ignore[union-attr]
                process.wait(60)


def commands_under(heading: str) -> list[str]:
    """Return the commands that a section tells to type, for the lab."""
    section = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).replace("\\\n", "")
    for documented, here in LAB_INSTEAD.items():
        lines = lines.replace(documented, here)
    return [line for line in lines.splitlines() if line]


def pressed(label: str) -> str:
    """A button or link, which the document has to name."""
    assert f"**{label}**" in DOCUMENT
    return label


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


@pytest.fixture
def page() -> Iterator[Page]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def checkout(at: Path) -> Path:
    """What a new user has: the files of the repository, and nothing that was ever built from them."""
    for name in ("balancer", "policies", "configs"):
        shutil.copytree(ROOT / name, at / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, at)
    return at


def test_the_documents_commands_lead_to_a_cluster_that_balances_itself(lab: Lab, tmp_path: Path, page: Page) -> None:
    assert all(documented in DOCUMENT for documented in LAB_INSTEAD)
    counters = start_guests(lab, {"web": "hv1", "mail": "hv1", "shop": "hv1"}, load_percent=30)

    def homes() -> dict[str, list[str]]:
        return {name: lab.where(name) for name in counters}

    at_first = homes()
    address = f"127.0.0.1:{free_port()}"

    with shell(checkout(tmp_path), BALANCER_WEB_LISTEN=address) as user:
        said = ""
        for heading in ("1. Install", "2. Say where the cluster is", "3. Look", "4. A dry run"):
            for command in commands_under(heading):
                said = user.does(command)
                if "init" in command and "--yes" in command:
                    assert said.count("says on, is its own") == 3, said
                if command == "balancer doctor":
                    assert "0 faults" in said
        assert said.count("move ") == 2, said

        for command in commands_under("5. Confirm a plan in the browser"):
            said = user.does(command)
            if command.startswith("balancer check"):
                assert "mode confirm" in said
            if command.startswith("balancer token"):
                token = re.search(r"^balancer_\S+$", said, re.MULTILINE)
        assert homes() == at_first
        log = tmp_path / "cluster" / "balancer.log"
        until(lambda: "a plan waits for a person" in log.read_text(), IMPATIENT_SECONDS, "a plan to confirm")
        assert token is not None
        page.goto(f"http://{address}")
        page.get_by_label("Token").fill(token[0])
        page.get_by_role("button", name=pressed("Log in")).click()
        page.get_by_role("link", name=re.compile(pressed("A plan waits for you"))).click()
        boxes = page.locator("input[name=step]")
        assert boxes.count() == 2
        boxes.nth(1).uncheck()
        words = str(boxes.nth(0).get_attribute("aria-label"))
        page.get_by_role("button", name=pressed("Approve what is ticked")).click()
        page.wait_for_url("**/runs")

        # The guest that was approved moves, where it was said to; the rest is asked about again, and stays.
        moved, target = re.search(r"move (\S+) from hv1 to (\S+)", words).groups()  # type: ignore[union-attr]
        until(lambda: lab.where(moved) == [target], IMPATIENT_SECONDS, words)
        asked = log.read_text().count("a plan waits for a person")
        until(lambda: log.read_text().count("a plan waits for a person") > asked + 1, IMPATIENT_SECONDS, "a new plan")
        assert homes() == {**at_first, moved: [target]}

        for command in commands_under("6. Let it act"):
            said = user.does(command)
            if "mode: act" in command:
                until(
                    lambda: len({host for where in homes().values() for host in where}) == 3, IMPATIENT_SECONDS, words
                )
        assert "mode act" in said
        assert homes()[moved] == [target]
        policy = (tmp_path / "cluster" / "policy.yaml").read_text()
        assert "hold_minutes: 10 " in policy
        assert "interval_seconds: 300 " in policy
    assert all_still_count(lab, counters)
    assert "Traceback" not in log.read_text()
