"""A shell that has read what `--show-completion` prints completes commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(sys.executable).parent
COMPLETED_BY = {
    "bash": "source <(balancer --show-completion); "
    "COMP_WORDS=(balancer po); COMP_CWORD=1; _balancer_completion balancer; "
    'printf "%s\\n" "${COMPREPLY[@]}"',
    "zsh": "autoload -U compinit; compinit -u -D; "
    "source <(balancer --show-completion); words=(balancer po); CURRENT=2; "
    '_arguments() { print -r -- "$@" }; _balancer_completion',
    "fish": "balancer --show-completion | source; complete --do-complete 'balancer po'",
}


# Each start of the balancer costs seconds on a busy machine, so one shell stands for all but in the whole suite.
@pytest.mark.parametrize("shell", ["bash", *(pytest.param(name, marks=pytest.mark.long) for name in ("zsh", "fish"))])
def test_a_shell_completes_a_command(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is missing: install the package {shell}")
    environment = os.environ | {"PATH": f"{HERE}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    # The parent process tells which shell it is, so the shell has to stay: two commands, the last of its own.
    said = subprocess.run(
        [program, "-c", COMPLETED_BY[shell] + "; true"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "policy" in said.stdout and "power" in said.stdout, said.stderr
    assert "plan" not in said.stdout
