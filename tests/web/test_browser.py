"""An operator's morning in a real browser on the real service: see it, decide, watch it; nothing leaves the machine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.running import PATIENCE_SECONDS, Served, served
from tests.web.served import token_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or ""
ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "screenshots"
AXE = (Path(__file__).parent / "axe.min.js").read_text()

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Debian's chromium is missing: apt-get install chromium")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Person:
    """Somebody at a browser; notes each request and each complaint of the browser's."""

    def __init__(self, chromium: Browser, service: Served, name: str, **context: Any) -> None:
        self.context: BrowserContext = chromium.new_context(base_url=service.url, **context)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context.set_default_timeout(1000 * PATIENCE_SECONDS)
        self.page: Page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.goto("/")
        self.page.get_by_label("Token").fill(token_of(name))
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url("**/")

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"} and "status of 4" not in message.text:
            self.complaints.append(message.text)

    def keeps(self, name: str) -> None:
        """Keep a picture of the page as it is."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    def is_answered(self) -> None:
        """Wait until what the page asks for once it is there has come."""
        self.page.locator(".waits").first.wait_for(state="detached")

    def too_wide(self) -> list[str]:
        """Say if the page is wider than the screen."""
        wide, screen = self.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
        return [f"{self.page.url} is {wide} wide on a screen of {screen}"] if wide > screen else []

    def barriers(self, *rules: str) -> list[str]:
        """Say what keeps people out who see or hear or move otherwise, where it is serious; by some rules alone."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE)
        only = {"runOnly": list(rules)} if rules else {}
        found = self.page.evaluate("rules => axe.run(document, rules)", {"resultTypes": ["violations"], **only})
        return [
            f"{self.page.url} {each['id']}: {each['help']}: {each['nodes'][0]['html'][:120]}"
            for each in found["violations"]
            if each["impact"] in {"serious", "critical"}
        ]


def test_an_operators_morning(chromium: Browser, service: Served) -> None:
    oskar = Person(chromium, service, "oskar", viewport={"width": 1280, "height": 900})
    page = oskar.page

    # He sees what the balancer thinks, and reads the plan.
    assert "Move 9 guests" in page.get_by_role("heading", level=1).inner_text()
    assert page.locator(".tile").count() == 12
    oskar.keeps("overview")
    page.get_by_role("link", name=re.compile("A plan waits for you")).click()
    boxes = page.locator("input[name=step]")
    assert boxes.count() == 9
    assert page.locator("svg.flows .ribbon").count() > 0
    oskar.keeps("plan")

    # He approves half of it, and watches it run.
    for place in range(4, 9):
        boxes.nth(place).uncheck()
    approved = [page.locator("tr:has(input[name=step]:checked) b").nth(place).inner_text() for place in range(4)]
    page.get_by_role("button", name="Approve what is ticked").click()
    page.wait_for_url("**/runs")
    page.locator(".flights progress").first.wait_for()
    oskar.keeps("running")

    # He gives one up; it stays where it is, and the others arrive.
    stop = page.get_by_role("button", name=re.compile("Give up")).first
    given_up = stop.get_attribute("aria-label").split()[3]  # type: ignore[union-attr]
    stop.click()
    page.wait_for_url("**/runs")
    api = service.as_("oskar")
    service.waits_for(lambda: any(each["state"] == "ended" for each in api.get("/proposals").json()))
    ended = next(each for each in api.get("/proposals").json() if each["state"] == "ended")
    assert "carried out 3 of 4 steps" in ended["outcome"]
    assert given_up in approved

    # He drains a host, and tries a change of the policy, which is saved nowhere.
    page.goto("/hosts/hv03")
    page.get_by_label("Why").fill("new fans")
    page.get_by_role("button", name="Drain this host").click()
    page.get_by_text("Drained since").wait_for()
    assert "by oskar: new fans" in page.locator(".actions").inner_text()
    page.goto("/policy")
    text = page.locator("#policy").input_value()
    page.locator("#policy").fill(text.replace("even_load: {weight: 0.3}", "even_load: {weight: 0.0}"))
    page.get_by_role("button", name="See what it would do").click()
    trial = page.locator("#trial")
    assert "objectives.even_load.weight" in trial.inner_text()
    oskar.keeps("policy-on-trial")
    page.goto("/policy")
    assert page.locator("#policy").input_value() == text

    # All of it stands in the audit under his name.
    page.goto("/audit")
    said = page.locator("main").inner_text()
    for words in ("approved 4 of 9 steps", "asked to give up: move", "drained: new fans"):
        assert words in said
    assert oskar.complaints == []
    assert {url for url in oskar.requests if not url.startswith((service.url, "data:"))} == set()


def test_who_may_only_look_is_shown_no_buttons_and_refused(chromium: Browser, service: Served) -> None:
    vera = Person(chromium, service, "vera")
    vera.page.goto("/hosts/hv01")
    assert vera.page.get_by_role("button", name="Drain this host").count() == 0
    said = vera.page.evaluate(
        """async () => {
            const csrf = document.querySelector('input[name=csrf]').value;
            const answer = await fetch('/drain', {method: 'POST', body: new URLSearchParams({csrf, host: 'hv01'})});
            return [answer.status, (await answer.text()).includes('this wants operator')];
        }"""
    )
    assert said == [403, True]


PHONE = {"width": 390, "height": 844}
PAGES = ["/", "/plan", "/runs", "/hosts", "/hosts/hv01", "/hosts/hv12/power-test", "/guests", "/guests/web-1", "/power"]
PAGES += ["/policy", "/history", "/audit", "/hosts/none"]


def test_no_page_keeps_anybody_out(chromium: Browser, service: Served) -> None:
    ada = Person(chromium, service, "ada", color_scheme="light", viewport=PHONE, reduced_motion="reduce")
    cycles = [each["plan_id"] for each in service.as_("ada").get("/cycles").json()]
    past = {"cycle": f"/history/{cycles[0]}", "compare": f"/history/compare?first={cycles[-1]}&second={cycles[0]}"}
    pages = {path.strip("/").replace("/", "-") or "overview": path for path in PAGES} | past
    found: list[str] = []
    for name, path in pages.items():
        ada.page.goto(path)
        ada.is_answered()
        found += ada.barriers() + ada.too_wide()
        ada.keeps(f"phone-light-{name}")
        # In the dark nothing is elsewhere: it has other colours.
        ada.page.emulate_media(color_scheme="dark")
        found += ada.barriers("color-contrast")
        ada.keeps(f"phone-dark-{name}")
        ada.page.emulate_media(color_scheme="light")
    assert found == []
    assert ada.complaints == []


def test_a_plan_that_was_taken_away_is_read_on_a_phone_without_us(
    chromium: Browser, service: Served, tmp_path: Path
) -> None:
    oskar = Person(chromium, service, "oskar", viewport=PHONE, reduced_motion="reduce", accept_downloads=True)
    oskar.page.goto("/plan")
    with oskar.page.expect_download() as waiting:
        oskar.page.get_by_role("link", name="page", exact=True).click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    oskar.requests.clear()
    oskar.page.goto(file.as_uri())
    assert oskar.page.locator(".tile").count() == 24  # twelve hosts, before and after
    assert oskar.page.locator("svg.flows .ribbon").count() > 0
    oskar.keeps("report-on-a-phone")
    assert oskar.too_wide() == []
    assert oskar.requests == [file.as_uri()]


def test_who_has_no_mouse_holds_the_balancer_back(chromium: Browser, service: Served) -> None:
    oskar = Person(chromium, service, "oskar")
    page = oskar.page
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("new switches")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing but waking is begun: paused by oskar").wait_for()
    assert "new switches" in page.locator(".banner").inner_text()
    page.get_by_role("button", name="Go on").press("Enter")
    page.locator(".banner.warn").wait_for(state="detached")
