"""Whatever the OpenAPI document allows, and much that it does not: the answer is never a fault of the server's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer.store.tokens import Role
from tests.web.stage import stage

schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")


@pytest.mark.long
def test_no_request_makes_the_server_fail(tmp_path: Path) -> None:
    from hypothesis import HealthCheck, Phase, given, settings

    with stage(tmp_path) as built:
        headers = {"Authorization": f"Bearer {built.secrets[Role.ADMIN]}", "Host": "127.0.0.1"}
        schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", built.app, headers=headers)
        for operation in (each.ok() for each in schema.get_all_operations()):

            @settings(
                max_examples=15,
                deadline=None,
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
                derandomize=True,
                database=None,
            )
            @given(case=operation.as_strategy())
            def tried(case):  # type: ignore[no-untyped-def]
                answer = case.call(headers=headers)
                assert answer.status_code < 500, f"{case.method} {case.formatted_path}: {answer.text[:500]}"

            tried()
