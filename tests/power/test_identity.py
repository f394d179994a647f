"""Whose BMC it is: the one mistake that would cut the power of the wrong host."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.power.identity import same_machine

HOST = "12345678-9abc-def0-1122-334455667788"
NOBODY = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
AMI = "03000200-0400-0500-0006-000700080009"


@pytest.mark.parametrize(
    "guid",
    [
        HOST,
        HOST.upper(),
        "78563412-bc9a-f0de-1122-334455667788",  # SMBIOS
        "88776655-4433-2211-f0de-bc9a78563412",  # IPMI
    ],
)
def test_a_bmc_is_known_by_its_guid_in_any_of_the_three_orders(guid: str) -> None:
    assert same_machine(guid, HOST)


@pytest.mark.parametrize("guid", [None, "", "not a guid", "12345678-9abc-def0-1122-334455667789"])
def test_another_guid_or_none_is_no_proof(guid: str | None) -> None:
    assert not same_machine(guid, HOST)
    assert not same_machine(HOST, guid)


@pytest.mark.parametrize(
    "guid", [*NOBODY, AMI, str(UUID(bytes_le=UUID(AMI).bytes)), str(UUID(bytes=UUID(AMI).bytes[::-1]))]
)
def test_a_guid_that_many_machines_share_is_no_proof(guid: str) -> None:
    assert not same_machine(guid, guid)


def test_a_shared_guid_is_known_on_either_side_of_the_comparison() -> None:
    turned = UUID(bytes_le=UUID(AMI).bytes)
    turned_twice = UUID(bytes=turned.bytes[::-1])
    assert not same_machine(str(turned), str(turned_twice))
    assert not same_machine(str(turned_twice), str(turned))


@given(st.uuids(), st.uuids())
def test_two_machines_are_the_same_only_by_the_same_sixteen_bytes(one: UUID, other: UUID) -> None:
    assert same_machine(str(one), str(other)) == same_machine(str(other), str(one))
    assert not same_machine(str(one), str(other)) or sorted(one.bytes) == sorted(other.bytes)
