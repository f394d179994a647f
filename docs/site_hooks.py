"""What mkdocs cannot do by itself: files of the repository outside of docs/, to which pages link, come along."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parent
ROOT = DOCS.parent
DECISIONS = DOCS / "decisions"
ICON = ROOT / "balancer" / "web" / "static" / "icon.svg"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|<)([^)#\s]+)(?=[)#])")


def on_files(files: Files, *, config: Any) -> Files:
    """Add what pages link to, and what that links to in turn."""
    files.append(File.generated(config, "icon.svg", abs_src_path=str(ICON)))
    waiting = [DOCS / file.src_uri for file in files.documentation_pages()]
    while waiting:
        for target in _links_of(waiting.pop()):
            if not target.is_relative_to(DOCS) and files.get_file_from_path(_in_site(target)) is None:
                files.append(_added(target, config))
                waiting.append(target)
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Let links lead to where the files are in the site; list the decisions, as a forge does."""
    here = _in_repository(page.file.src_uri)
    listed = _list(DECISIONS) if here == DECISIONS / "README.md" else ""
    return LINK.sub(lambda link: _in_site(_target(here, link[1]), from_page=page.file.src_uri), markdown) + listed


def on_post_page(output: str, **_: Any) -> str:
    """Give the theme's search a name, without which a screen reader says that there is a dialogue and not which."""
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )


def _links_of(page: Path) -> Iterator[Path]:
    if page.is_dir():
        yield from _files_of(page)
    elif page.suffix == ".md":
        yield from (_target(page, link[1]) for link in LINK.finditer(page.read_text(encoding="utf-8")))


def _target(page: Path, link: str) -> Path:
    """Return the file that a link means; of a directory the page that tells about it."""
    target = Path(os.path.normpath(page.parent / link))
    readme = target / "README.md"
    return readme if readme.exists() else target


def _added(target: Path, config: Any) -> File:
    if target.is_dir():
        said = f"# {target.relative_to(ROOT)}\n{_list(target)}"
        return File.generated(config, _in_site(target), content=said)
    return File.generated(config, _in_site(target), abs_src_path=str(target))


def _list(directory: Path) -> str:
    """Return a link to each file of a directory, by its title where it is a page."""
    return "\n" + "\n".join(f"- [{_title(each)}]({each.name})" for each in _files_of(directory)) + "\n"


def _files_of(directory: Path) -> list[Path]:
    return [
        each
        for each in sorted(directory.iterdir())
        if each.is_file() and each.name[0] != "." and each.name != "README.md"
    ]


def _title(file: Path) -> str:
    return file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") if file.suffix == ".md" else file.name


def _in_site(target: Path, from_page: str = "") -> str:
    """Return where a file of the repository is in the site, perhaps as seen from a page: docs/ is its top."""
    there = target.relative_to(DOCS if target.is_relative_to(DOCS) else ROOT)
    page = there / "README.md" if target.is_dir() else there
    return Path(os.path.relpath(page, Path(from_page).parent)).as_posix() if from_page else page.as_posix()


def _in_repository(page: str) -> Path:
    return DOCS / page if (DOCS / page).exists() else ROOT / page
