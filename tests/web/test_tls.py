"""Pages are served by TLS with a certificate of one's own, and their cookies go over nothing else."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from balancer.settings import WebSettings
from balancer.store.tokens import Role
from balancer.web.serving import address_of, serving
from tests.lab.certificates import Authority
from tests.web.stage import stage


def test_pages_over_tls_have_secure_cookies_and_nothing_is_said_in_the_clear(tmp_path: Path) -> None:
    authority = Authority()
    issued = authority.issue("localhost")
    certificate, key = tmp_path / "web.pem", tmp_path / "web.key"
    certificate.write_bytes(issued.certificate)
    key.write_bytes(issued.key)
    settings = WebSettings(listen="127.0.0.1:0", tls_certificate=certificate, tls_key=key)
    trusting = ssl.create_default_context(cadata=authority.certificate.decode())
    with stage(tmp_path, settings) as built, serving(built.door, address_of(settings)) as url:
        assert url.startswith("https://127.0.0.1:")
        with httpx.Client(base_url=url, verify=trusting, trust_env=False) as browser:
            login = browser.post("/login", data={"token": built.secrets[Role.VIEWER]}, headers={"Origin": url})
            cookies = login.headers.get_list("set-cookie")
            page = browser.get("/")
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https:", "http:"), trust_env=False)
        with pytest.raises(httpx.ConnectError, match="certificate"):
            httpx.get(url, trust_env=False)
    assert login.status_code == 303
    assert cookies and all("; secure" in cookie.lower() for cookie in cookies)
    assert page.status_code == 200
    assert "max-age" in page.headers["strict-transport-security"]
