"""Who is let in, to what, and what is turned away: wrong tokens, old sessions, forms of others, too much, too slow."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from balancer.errors import InputError
from balancer.settings import WebSettings
from balancer.store.tokens import Role
from balancer.web.guarding import MOST_BYTES
from balancer.web.identity import TRIES, TooManyTries, Tries, networks_of, roles_of
from balancer.web.serving import address_of, refuse_what_is_unsafe
from tests.web.stage import Browser, Stage, stage

STATUS = "/api/v1/status"
ACTIONS = ["pause", "resume", "abort", "hosts/h2/drain", "hosts/h2/undrain", "hosts/h2/wake"]


@pytest.mark.parametrize("path", ["/", "/plan", "/runs", "/audit", "/live", STATUS, "/api/v1/snapshot"])
def test_nobody_is_let_in_without_a_token(path: str, small: Stage) -> None:
    answer = small.client().get(path, follow_redirects=False)
    assert answer.status_code == (401 if path.startswith("/api") else 303)
    assert path.startswith("/api") or answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer ", "Basic YWRtaW46YWRtaW4=", "Bearer balancer_", "Token x"])
def test_what_is_no_token_lets_nobody_in(header: str, fresh: Stage) -> None:
    answer = fresh.client().get(STATUS, headers={"Authorization": header})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize("path", ACTIONS)
def test_who_may_look_may_not_act(path: str, fresh: Stage) -> None:
    answer = fresh.as_(Role.VIEWER).post(f"/api/v1/{path}")
    assert (answer.status_code, "this wants operator" in answer.text) == (403, True)
    assert not fresh.store.halts.in_force(fresh.site.clock.now()) and not fresh.store.drains.all()
    assert not fresh.store.audit.latest()


@pytest.mark.parametrize("path", ["/pause", "/drain", "/power-test", "/policy/try"])
def test_a_viewers_browser_may_not_either(path: str, fresh: Stage) -> None:
    browser = fresh.browser(Role.VIEWER)
    assert browser.post(path, csrf=browser.csrf(), host="h2")[0] == 403
    assert not fresh.store.audit.latest()


def test_a_token_counts_until_its_time_is_over_or_it_is_taken_back(fresh: Stage) -> None:
    now = fresh.site.clock.now()
    over = fresh.store.tokens.add("gone", Role.ADMIN, "tests", now - timedelta(days=2), now - timedelta(days=1))
    assert fresh.client(over).get(STATUS).status_code == 401
    assert fresh.as_(Role.ADMIN).get(STATUS).status_code == 200
    fresh.store.tokens.remove("admin")
    assert fresh.as_(Role.ADMIN).get(STATUS).status_code == 401


def test_the_store_knows_no_token_and_no_session_in_the_clear(fresh: Stage, tmp_path: Path) -> None:
    browser = fresh.browser(Role.ADMIN)
    cookie = browser.client.cookies["balancer_session"]
    written = b"".join(path.read_bytes() for path in tmp_path.glob("balancer.db*"))
    assert b"tests" in written
    for secret in (*fresh.secrets.values(), cookie):
        assert secret.encode() not in written


def test_a_session_ends_with_its_time_its_logout_and_its_token(fresh: Stage) -> None:
    now = fresh.site.clock.now()
    old = fresh.store.tokens.open_session("admin", now - timedelta(hours=2), now - timedelta(hours=1))
    assert _status_with(fresh, old) == 401
    browser = fresh.browser(Role.ADMIN)
    cookie = browser.client.cookies["balancer_session"]
    assert browser.get("/")[0] == 200
    assert browser.post("/logout") == (303, "/login")
    assert _status_with(fresh, cookie) == 401
    other = fresh.browser(Role.ADMIN)
    fresh.store.tokens.remove("admin")
    assert other.get("/")[0] == 303


def _status_with(site: Stage, cookie: str) -> int:
    client = site.client()
    client.cookies.set("balancer_session", cookie)
    return int(client.get(STATUS).status_code)


def test_the_cookie_is_for_this_site_and_no_script(small: Stage) -> None:
    answer = small.client().post("/login", data={"token": small.secrets[Role.VIEWER]}, follow_redirects=False)
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said and "samesite=strict" in said and "path=/" in said


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"])
def test_the_login_leads_nowhere_else(target: str, small: Stage) -> None:
    data = {"token": small.secrets[Role.VIEWER], "next": target}
    answer = small.client().post("/login", data=data, follow_redirects=False)
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("csrf", ["", "0" * 64, "ü"])
def test_a_form_of_somebody_else_is_refused(csrf: str, fresh: Stage) -> None:
    browser = fresh.browser(Role.ADMIN)
    assert browser.post("/pause", csrf=csrf)[0] == 403
    # The API takes the cookie too, and asks the same of it.
    assert browser.client.post("/api/v1/pause").status_code == 403
    assert browser.client.post("/api/v1/pause", headers={"X-CSRF-Token": browser.csrf()}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_what_a_browser_says_comes_from_elsewhere_is_refused(headers: dict[str, str], fresh: Stage) -> None:
    browser = fresh.browser(Role.ADMIN)
    data = {"csrf": browser.csrf()}
    assert browser.client.post("/pause", data=data, headers=headers, follow_redirects=False).status_code == 403
    login = {"token": fresh.secrets[Role.ADMIN]}
    assert fresh.client().post("/login", data=login, headers=headers, follow_redirects=False).status_code == 403


def test_without_a_login_forms_of_others_are_refused_as_well(tmp_path: Path) -> None:
    with stage(tmp_path, is_open_to_all=True) as open_to_all:
        browser = Browser(open_to_all.client())
        assert browser.post("/pause", csrf="")[0] == 403
        assert browser.client.post("/api/v1/pause", json={}).status_code == 403
        assert browser.post("/pause") == (303, "/")
        assert open_to_all.store.audit.latest()[0].who == "somebody at this machine"


def test_guessing_is_slow(fresh: Stage) -> None:
    guesser = fresh.client(peer="10.9.9.9")
    tries = [guesser.post("/login", data={"token": f"guess {n}"}).status_code for n in range(TRIES + 1)]
    assert tries == [401] * TRIES + [429]
    right = guesser.post("/login", data={"token": fresh.secrets[Role.ADMIN]}, follow_redirects=False)
    assert (right.status_code, right.headers["retry-after"]) == (429, "60")


def test_tries_are_forgotten_after_a_minute_and_a_crowd_counts_together() -> None:
    now = [0.0]
    tries = Tries(lambda: now[0])
    for _ in range(TRIES):
        tries.failed("10.0.0.1")
    with pytest.raises(TooManyTries):
        tries.refuse_too_many("10.0.0.1")
    tries.refuse_too_many("10.0.0.2")
    now[0] = 61.0
    tries.refuse_too_many("10.0.0.1")
    for number in range(100):
        tries.failed(f"10.0.1.{number}")
    with pytest.raises(TooManyTries):
        tries.refuse_too_many("10.0.0.3")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil"])
def test_another_name_is_not_answered(host: str, small: Stage) -> None:
    answer = small.as_(Role.ADMIN).get(STATUS, headers={"Host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fsettings.py",
        "/static//etc/passwd",
        "/history/..%2f..%2fpolicy",
        "/api/v1/cycles/..%2f..%2fhealth.json",
        "/hosts/..%2f..%2fetc%2fpasswd",
        "/guests/%00",
        "/plans/%2e%2e",
    ],
)
def test_paths_lead_nowhere_but_to_pages(path: str, small: Stage) -> None:
    assert small.as_(Role.ADMIN).get(path, follow_redirects=False).status_code in {303, 404, 405, 307}


@pytest.mark.parametrize("path", ["/login", "/pause", "/policy/try", "/api/v1/policy/try", "/api/v1/pause"])
def test_ten_megabytes_are_refused_unread(path: str, small: Stage) -> None:
    client = small.as_(Role.ADMIN)
    kind = "application/json" if path.startswith("/api") else "application/x-www-form-urlencoded"
    assert client.post(path, content=b"x" * 10 * 2**20, headers={"Content-Type": kind}).status_code == 413
    unannounced = (b"x" * 2**16 for _ in range(10 * MOST_BYTES // 2**16))
    assert client.post(path, content=unannounced, headers={"Content-Type": kind}).status_code == 413
    assert client.get(STATUS).status_code == 200


def test_each_answer_ties_the_browser_down(small: Stage) -> None:
    for path in ("/", "/login", "/static/balancer.css", STATUS, "/nowhere"):
        headers = small.as_(Role.VIEWER).get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


def test_no_page_carries_a_script_of_its_own_or_names_another_server(small: Stage) -> None:
    browser = small.browser(Role.ADMIN)
    for path in ("/", "/hosts/h1", "/guests", f"/plans/{small.plan.id}", "/power", "/policy", "/history", "/audit"):
        text = browser.get(path)[1]
        assert "<script>" not in text and " style=" not in text and "onclick" not in text
        assert "//" not in text.replace("</", "").split("<main")[0].replace("https://", "!").replace("http://", "!")
        assert "http://" not in text and "https://" not in text


# -- single sign-on

PROXY = WebSettings(
    proxy_addresses="10.0.0.5, 10.1.0.0/24", proxy_roles="vm-admins=admin,oncall=operator", proxy_role="none"
)


@pytest.mark.parametrize(
    ("peer", "groups", "status"),
    [
        ("10.0.0.5", "staff,oncall", 200),
        ("10.1.0.77", "vm-admins", 200),
        ("10.0.0.5", "staff", 403),
        ("10.0.0.5", "", 403),
        ("10.2.0.1", "vm-admins", 403),
        ("127.0.0.1", "vm-admins", 403),
    ],
)
def test_the_word_of_a_listed_proxy_counts_and_of_no_other(peer: str, groups: str, status: int, tmp_path: Path) -> None:
    with stage(tmp_path, PROXY) as site:
        headers = {"X-Forwarded-User": "alice", "X-Forwarded-Groups": groups}
        assert site.client(peer=peer).get(STATUS, headers=headers).status_code == status


def test_who_comes_by_a_proxy_is_named_in_the_audit_and_forms_of_others_are_refused(tmp_path: Path) -> None:
    with stage(tmp_path, PROXY) as site:
        client = site.client(peer="10.0.0.5")
        client.headers.update({"X-Forwarded-User": "alice", "X-Forwarded-Groups": "oncall"})
        browser = Browser(client)
        assert browser.post("/pause", csrf="")[0] == 403
        assert browser.post("/pause", why="maintenance") == (303, "/")
        assert site.store.audit.latest()[0].who == "alice"


def test_where_no_proxy_is_listed_its_header_says_nothing(small: Stage) -> None:
    assert small.client().get(STATUS, headers={"X-Forwarded-User": "root"}).status_code == 401


# -- what is not served at all


@pytest.mark.parametrize(
    ("settings", "is_open", "says"),
    [
        ({"listen": "0.0.0.0:8230"}, True, "without a login"),
        ({"listen": "[::]:8230"}, True, "without a login"),
        ({"listen": "0.0.0.0:8230"}, False, "in the clear"),
        ({"listen": "10.0.0.1:8230", "tls_key": "key.pem"}, False, "come together"),
    ],
)
def test_what_would_let_the_network_in_is_refused(settings: dict[str, str], is_open: bool, says: str) -> None:
    read = WebSettings.model_validate(settings)
    with pytest.raises(InputError, match=says):
        refuse_what_is_unsafe(read, address_of(read), is_open)


@pytest.mark.parametrize(
    ("settings", "is_open"),
    [
        (WebSettings(), False),
        (WebSettings(listen="0.0.0.0:443", behind_tls=True), False),
        (WebSettings(listen="0.0.0.0:443", tls_certificate=Path("c.pem"), tls_key=Path("k.pem")), False),
        (WebSettings(listen="[::1]:8230"), True),
    ],
)
def test_what_is_safe_is_served(settings: WebSettings, is_open: bool) -> None:
    assert refusal(settings, is_open) == ""


def refusal(settings: WebSettings, is_open: bool) -> str:
    try:
        refuse_what_is_unsafe(settings, address_of(settings), is_open)
    except InputError as refused:
        return str(refused)
    return ""


def test_settings_that_are_wrong_name_the_variable() -> None:
    with pytest.raises(InputError, match=r"BALANCER_WEB_LISTEN.*no address:port"):
        address_of(WebSettings(listen="8230"))
    with pytest.raises(InputError, match="BALANCER_WEB_PROXY_ADDRESSES"):
        networks_of("10.0.0.5, proxy.example")
    with pytest.raises(InputError, match=r"BALANCER_WEB_PROXY_ROLES.*viewer, operator, admin"):
        roles_of("a=root")
