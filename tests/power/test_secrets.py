"""Secrets: where they are read, what is said when they are not there, and that they stay hidden."""

from pathlib import Path

import pytest

from balancer.errors import SiteError
from balancer.secrets import read_secret


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def test_a_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    write(tmp_path / "hv1-bmc", " pass word \n")
    secret = read_secret("file:hv1-bmc", tmp_path, "hv1")
    assert secret.value.get_secret_value() == " pass word "
    assert secret.warning == ""
    assert "pass word" not in f"{secret!r} {secret}"


def test_a_variable_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HV1_BMC", "pass")
    assert read_secret("env:HV1_BMC", tmp_path, "hv1").value.get_secret_value() == "pass"


def test_a_file_that_everybody_can_read_is_remarked_on(tmp_path: Path) -> None:
    write(tmp_path / "hv1-bmc", "pass", mode=0o644)
    secret = read_secret("file:hv1-bmc", tmp_path, "hv1")
    assert secret.warning == f"hv1: everybody on this machine can read {tmp_path}/hv1-bmc: chmod o-r {tmp_path}/hv1-bmc"


@pytest.mark.parametrize(
    ("ref", "cause"),
    [
        ("file:missing", "no such file"),
        ("file:empty", "the file is empty"),
        ("file:binary", "the file is not text"),
        ("file:..", "is a directory"),
        ("env:NOT_SET_ANYWHERE", "the variable is not set"),
    ],
)
def test_a_secret_that_cannot_be_read_names_the_host_the_reference_and_the_way_out(
    tmp_path: Path, ref: str, cause: str
) -> None:
    write(tmp_path / "empty", "\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(SiteError) as told:
        read_secret(ref, tmp_path, "hv1")
    assert str(told.value).startswith(f"hv1: reading {ref}: {cause}")
    assert told.value.way_out
