"""What BMCs and pyghmi say, and what an operator reads."""

import pytest

from balancer.power.ipmi_words import words_for


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("", "no answer from"),
        ("None", "no answer from"),
        ("timeout", "no answer from"),
        ("Session no longer connected", "no answer from"),
        ("Incorrect password provided", "wrong password for user"),
        ("Invalid integrity check value reported in RAKP4", "wrong password for user"),
        ("Unauthorized name in RAKP2", "does not know user"),
        ("User locked out in RAKP2", "has locked user {user} out"),
        ("Node Busy", "is busy"),
        ("Insufficient resources to create a session at the requested role", "is busy"),
        ("BMC initialization in progress", "is busy"),
        ("Insufficient privilege level or firmware firewall", "may not do this"),
        ("Unauthorized role or privilege level requested in RAKP2", "may not do this"),
        ("No Cipher suite match with proposed security algorithms", "no encryption that we speak"),
        ("Command not supported in present state", "not supported"),
        ("Invalid command", "not supported"),
    ],
)
def test_each_thing_that_goes_wrong_has_its_own_words(said: str, read: str) -> None:
    assert read in words_for("IpmiException", said).cause


def test_a_fault_inside_the_library_is_not_taken_for_silence() -> None:
    assert "makes no sense" in words_for("AssertionError", "").cause


def test_what_nobody_foresaw_is_quoted() -> None:
    assert words_for("IpmiException", "Fan tray open").cause == "{text}"
