"""Passwords and tokens, from files or the environment; nowhere else do they come from, and nowhere do they go."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from balancer.errors import SiteError
from balancer.masking import never_say


@dataclass(frozen=True)
class Secret:
    """A secret, and what an operator should know about the way it is kept."""

    value: SecretStr
    warning: str = ""


def read_secret(ref: str, secrets_dir: Path, wanted_for: str) -> Secret:
    """Read `file:NAME` from the secrets directory, or `env:NAME`; says for whom it was wanted when it cannot."""
    secret = _read(ref, secrets_dir, wanted_for)
    never_say(secret.value.get_secret_value())
    return secret


def _read(ref: str, secrets_dir: Path, wanted_for: str) -> Secret:
    kind, _, name = ref.partition(":")
    if kind == "env":
        return _from_environment(ref, name, wanted_for)
    if kind == "file":
        return _from_file(ref, secrets_dir / name, wanted_for)
    raise _unread(wanted_for, "a secret", "the reference is neither file: nor env:", "write file:NAME or env:NAME")


def _from_environment(ref: str, name: str, wanted_for: str) -> Secret:
    value = os.environ.get(name, "")
    if not value:
        raise _unread(wanted_for, ref, "the variable is not set, or empty", f"set {name} where the balancer is started")
    return Secret(SecretStr(value))


def _from_file(ref: str, path: Path, wanted_for: str) -> Secret:
    way_out = f"put the secret alone into {path}, readable by the balancer's user only"
    try:
        value = path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        mode = path.stat().st_mode
    except UnicodeDecodeError:
        # The error's own text would quote the bytes.
        raise _unread(wanted_for, ref, "the file is not text", way_out) from None
    except OSError as failed:
        raise _unread(wanted_for, ref, (failed.strerror or type(failed).__name__).lower(), way_out) from failed
    if not value:
        raise _unread(wanted_for, ref, "the file is empty", way_out)
    return Secret(SecretStr(value), _warning_about(path, mode, wanted_for))


def _warning_about(path: Path, mode: int, wanted_for: str) -> str:
    if not mode & stat.S_IROTH:
        return ""
    return f"{wanted_for}: everybody on this machine can read {path}: chmod o-r {path}"


def _unread(wanted_for: str, ref: str, cause: str, way_out: str) -> SiteError:
    return SiteError(wanted_for, f"reading {ref}", cause, way_out)
