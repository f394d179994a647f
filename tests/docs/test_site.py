"""The documentation as a site: it builds strictly, each link and anchor leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.console import DOCS, ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
CHROMIUM = shutil.which("chromium") or ""
IN_A_BROWSER = pytest.mark.skipif(not CHROMIUM, reason="Debian's chromium is missing: apt-get install chromium")
AXE = (ROOT / "tests" / "web" / "axe.min.js").read_text(encoding="utf-8")
FETCHED = {
    ("link", "href"),
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("object", "data"),
}


class Page(HTMLParser):
    """A built page: its anchors, its links, what a browser fetches for it, and the text of its paragraphs."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self._within: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        self.links += [given["href"]] if tag == "a" and "href" in given else []
        self.fetched += [given[name] for name in ("href", "src", "data") if (tag, name) in FETCHED and name in given]
        self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "p" in self._within and "code" not in self._within:
            self.text += data


class Site:
    """All pages of a built site."""

    def __init__(self, at: Path) -> None:
        self.at = at

    @cached_property
    def pages(self) -> dict[Path, Page]:
        return {file: Page(file) for file in sorted(self.at.rglob("*.html"))}

    def leads_nowhere(self, page: Page, link: str) -> bool:
        """Whether a link within the site has no file or no anchor at its end."""
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return False
        target = (page.file.parent / unquote(parts.path)).resolve() if parts.path else page.file
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file():
            return True
        return bool(parts.fragment) and target in self.pages and unquote(parts.fragment) not in self.pages[target].ids


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    at = tmp_path_factory.mktemp("site").resolve()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(at)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return Site(at)


@contextmanager
def served(at: Path) -> Iterator[str]:
    """Serve a directory on a free port until the block ends; return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(at)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


def test_each_link_and_each_anchor_leads_somewhere(site: Site) -> None:
    astray = [
        f"{page.file.relative_to(site.at)}: {link}"
        for page in site.pages.values()
        if page.file.name != "404.html"  # its links begin at the root of a server
        for link in page.links
        if site.leads_nowhere(page, link)
    ]
    assert astray == []


def test_no_page_asks_another_host_for_anything(site: Site) -> None:
    asked = {each for page in site.pages.values() for each in page.fetched if urlsplit(each).netloc}
    assert asked == set()
    styles = "\n".join(file.read_text(encoding="utf-8") for file in site.at.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\"']*", styles) == []


def test_each_page_of_the_documentation_is_in_the_site_and_can_be_found_from_its_begin(site: Site) -> None:
    first = site.at / "index.html"
    waiting, reached = [first], {first}
    while waiting:
        page = site.pages[waiting.pop()]
        for link in page.links:
            target = (page.file.parent / urlsplit(link).path).resolve()
            if target in site.pages and target not in reached:
                reached.add(target)
                waiting.append(target)
    built = {f"{file.relative_to(DOCS).with_suffix('')}" for file in DOCS.rglob("*.md") if file.name != "README.md"}
    assert built - {f"{file.relative_to(site.at).with_suffix('')}" for file in reached} == set()


def test_what_a_forge_shows_as_a_list_or_a_table_is_one_here_too(site: Site) -> None:
    left = {
        (page.file.name, line.strip())
        for page in site.pages.values()
        for line in page.text.splitlines()
        if re.match(r"\s*(?:[-*+] |\d+\. |\|.*\|)", line)
    }
    assert left == set()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@IN_A_BROWSER
def test_a_browser_reads_and_searches_it_and_asks_nobody_else(site: Site, browser: Browser) -> None:
    page = browser.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    with served(site.at) as address:
        page.goto(f"{address}/index.html?q=quarantine")  # typed before its script is there, it would not be heard
        page.locator(".md-search-result__link").first.click()
        page.wait_for_url(re.compile(r"\.html.*h=quarantine"))
    assert complaints == []
    assert {url for url in requests if not url.startswith((address, "data:"))} == set()


@IN_A_BROWSER
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_serious_barrier_and_fit_a_phone(
    site: Site, browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(color_scheme=scheme)
    found, too_wide = [], []
    with served(site.at) as address:
        for name in ("index", "how-it-decides", "policy-guide", "troubleshooting"):
            page.set_viewport_size({"width": 1360, "height": 900})
            page.goto(f"{address}/{name}.html")
            page.evaluate(AXE)
            said = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
            found += [(name, each["id"]) for each in said if each["impact"] in {"serious", "critical"}]
            page.set_viewport_size({"width": 390, "height": 844})
            too_wide += [name] if page.evaluate("document.documentElement.scrollWidth") > 390 else []
    assert (found, too_wide) == ([], [])
