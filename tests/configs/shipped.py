"""What a file that ships says to the balancer and mounts for it, and what image and settings know of that."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from balancer.policy import Policy
from balancer.settings import Settings, WebSettings, load_settings, load_web_settings
from balancer.web.serving import address_of, refuse_what_is_unsafe

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
GUIDE = (CONFIGS / "README.md").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()

KNOWN_SETTINGS = {f"BALANCER_{name}".upper() for name in Settings.model_fields} | {
    f"BALANCER_WEB_{name}".upper() for name in WebSettings.model_fields
}
FILES_AND_DIRECTORIES = {
    "BALANCER_SITE",
    "BALANCER_POLICY",
    "BALANCER_SECRETS",
    "BALANCER_STATE",
    "BALANCER_WEB_TLS_CERTIFICATE",
    "BALANCER_WEB_TLS_KEY",
}
# A stop waits for migrations first and then has to let go of hosts and pages.
SECONDS_TO_STOP = Policy().caution.stop_within_minutes * 60 + 60


@dataclass(frozen=True)
class Mount:
    """Where something of the outside appears."""

    path: str
    is_writable: bool


def image_user() -> str:
    """Return the user and group that the image runs as."""
    return _in_dockerfile(r"^USER (\S+)$")


def image_state() -> str:
    """Return the one directory that the image's user may write to."""
    (state,) = json.loads(f'["{_in_dockerfile(r"^VOLUME (.+)$")}"]')
    return str(state)


def assert_it_is_a_setting(names: Mapping[str, str]) -> None:
    """See that each BALANCER_ variable is one that the balancer reads."""
    unknown = {name for name in names if name.startswith("BALANCER_")} - KNOWN_SETTINGS
    assert not unknown


def assert_the_balancer_takes(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """See that the balancer would begin, and serve its pages, with such an environment."""
    for name in KNOWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    load_settings()
    web = load_web_settings()
    refuse_what_is_unsafe(web, address_of(web), is_open_to_all=web.auth == "off")


def assert_its_paths_are_mounted(environment: Mapping[str, str], mounts: list[Mount]) -> None:
    """See that each file that a setting names is given to the container, and that only the state may be written to."""
    for name in FILES_AND_DIRECTORIES & set(environment):
        mount = _mount_of(environment[name], mounts)
        assert mount is not None, f"{name}: nothing is mounted at {environment[name]}"
        assert mount.is_writable == (name == "BALANCER_STATE"), name
    assert environment["BALANCER_STATE"] == image_state()


def _mount_of(path: str, mounts: list[Mount]) -> Mount | None:
    above = [mount for mount in mounts if PurePosixPath(path).is_relative_to(mount.path)]
    return max(above, key=lambda mount: len(mount.path), default=None)


def _in_dockerfile(pattern: str) -> str:
    (found,) = re.findall(pattern, DOCKERFILE, re.MULTILINE)
    return str(found)
