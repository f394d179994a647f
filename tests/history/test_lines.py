"""The line protocol: what names may hold, and what a server would refuse."""

from balancer.history.lines import line_of_event, lines_of_cluster, tag
from tests.history.worlds import NOON, seen

AT = 1795435200000


def test_each_measured_guest_and_host_is_a_line() -> None:
    assert list(lines_of_cluster(seen(NOON))) == [
        f"balancer_host,cluster=lab,host=h1 cpu_cores=9.0,memory_mib=4096.0 {AT}",
        f"balancer_guest,cluster=lab,host=h1,key=u-1,vm=db1 cpu_cores=1.0,memory_mib=512.0,wait_share=0.02 {AT}",
    ]


def test_names_with_spaces_commas_and_a_last_backslash_stay_one_tag() -> None:
    assert tag("vm", "my db, old=1\\") == r"vm=my\ db\,\ old\=1"
    assert tag("vm", "two\nlines") == r"vm=two\ lines"


def test_an_event_carries_its_numbers_as_numbers_and_all_of_it_as_text() -> None:
    line = line_of_event("lab", NOON, "move", "vm:db1", {"seconds": 2.5, "why": 'a "b"'})
    assert line == (
        "balancer_event,cluster=lab,kind=move,subject=vm:db1 count=1,seconds=2.5,"
        rf'facts="{{\"seconds\": 2.5, \"why\": \"a \\\"b\\\"\"}}" {AT}'
    )
