"""What all pages share: one file, its looks inside, light and dark, for screens, phones and paper."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

PICTURES = (Path(__file__).parent / "static" / "pictures.css").read_text(encoding="utf-8")
LOOKS = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2024;--soft:#5c6670;--rule:#dfe3e8;--wash:#f5f7f9;--warn:#a84300;
--c0:#1a66d0;--c1:#c2570c;--c2:#1a7f37;--c3:#8250df;--c4:#b02a6b;--c5:#0f7b8a;--bound:#6b747d}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e4e8ec;--soft:#9aa4ae;--rule:#30363d;--wash:#1c2126;
--warn:#ffa657;--c0:#6cb6ff;--c1:#f0883e;--c2:#57c26b;--c3:#c297ff;--c4:#f778ba;--c5:#4cc9d8;--bound:#8b949e}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,"Segoe UI",Roboto,sans-serif}
main{max-width:64rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.5rem 0 .6rem}
p{margin:.4rem 0}.soft,small{color:var(--soft)}.lead{font-size:1.1rem}.warn{color:var(--warn)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:min(100%,24rem)}
th,td{padding:.3rem .7rem;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top}
th:first-child,td:first-child{text-align:left;padding-left:0}thead th{font-weight:600;vertical-align:bottom}
td:first-child{white-space:nowrap}

.worded th:last-child,.worded td:last-child{text-align:left;min-width:18rem}
.steps :is(th,td):nth-child(3){text-align:left}tr.same>*{color:var(--soft)}
.scroll{overflow-x:auto}.pairs{width:100%}.pairs :is(th,td){white-space:nowrap}
tr.chosen{background:var(--wash)}tr.chosen td:first-child::before{content:"\\2192\\00a0"}
figure{margin:1.6rem 0;display:grid;grid-template-columns:3.4rem 1fr;row-gap:.2rem}
figcaption,.keys,.below{grid-column:1/-1}figcaption{font-weight:600}
.keys{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;font-size:.88rem;color:var(--soft);margin-bottom:.4rem}
.key i{display:inline-block;width:1.3rem;height:0;border-top:3px solid;vertical-align:middle;margin-right:.4rem}
.key i.bound{border-top-style:dashed}
.key i.dot{width:.7rem;height:.7rem;border:0;border-radius:50%;background:currentColor}
.down{position:relative;height:11rem;font-size:.8rem;color:var(--soft)}
.down span{position:absolute;right:.9rem;transform:translateY(50%)}
figure svg{width:100%;height:11rem;overflow:visible}
.below{display:flex;justify-content:space-between;padding-left:3.4rem;font-size:.8rem;color:var(--soft)}
.tone0{color:var(--c0)}.tone1{color:var(--c1)}.tone2{color:var(--c2)}.tone3{color:var(--c3)}.tone4{color:var(--c4)}.tone5{color:var(--c5)}
.bound{color:var(--bound)}
.line,.grid,.dot{fill:none;stroke:currentColor;stroke-width:2;vector-effect:non-scaling-stroke}
.line.bound{stroke-dasharray:5 4}
.line.tone1{stroke-dasharray:9 2}.line.tone2{stroke-dasharray:3 2}
.grid{stroke:var(--rule);stroke-width:1}.dot{stroke-width:10;stroke-linecap:round;opacity:.75}.dot.large{stroke-width:20;opacity:1}
.spot{fill:transparent}.spot:hover,a:focus .spot{fill:var(--ink);fill-opacity:.1}
.bar{display:inline-block;width:100%;height:.9rem;background:var(--wash);border:1px solid var(--rule)}
.bar .fill{display:block;height:100%;background:currentColor}
.bars{display:grid;grid-template-columns:max-content minmax(4rem,1fr) max-content;gap:.35rem .8rem;align-items:center}
.bars b{font-weight:500;font-variant-numeric:tabular-nums}
details{border-bottom:1px solid var(--rule);padding:.35rem 0}
summary{cursor:pointer}details:target{background:var(--wash)}
details ol,details ul{margin:.3rem 0;padding-left:1.4rem}.who{font-weight:600}
.cause{border-left:3px solid var(--warn);padding:.1rem 0 .1rem .9rem;margin:1rem 0}
a{color:inherit}.cause a{color:var(--c0)}
@media (max-width:36rem){body{font-size:15px}th,td{padding:.3rem .4rem;font-size:.88rem}.bars{grid-template-columns:1fr}
figure{grid-template-columns:2.6rem 1fr}.below{padding-left:2.6rem}}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--wash:#f3f3f3;--warn:#833;
--c0:#1a66d0;--c1:#c2570c;--c2:#1a7f37;--c3:#8250df;--c4:#b02a6b;--c5:#0f7b8a;--bound:#666}main{max-width:none;padding:0}
figure,.cause,tr{break-inside:avoid}body{font-size:10pt}}
"""

# A click on a time leads to a part of the page without it too; with it that part is open when it is reached.
OPENS = """
function open_it(){var found=document.getElementById(location.hash.slice(1));
if(found&&found.tagName==="DETAILS"){found.open=true;found.scrollIntoView({block:"center"})}}
addEventListener("hashchange",open_it);open_it();
"""


def page(title: str, parts: Iterable[str]) -> str:
    """Return a whole page. Nothing in it leads away from it, and a browser is told to fetch nothing."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{LOOKS}{PICTURES}</style></head><body><main>\n"
        + "\n".join(parts)
        + f"\n</main><script>{OPENS}</script></body></html>\n"
    )


def coded(words: str) -> str:
    """Return plain words as markup; what stands in backticks is set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words))


def heading(words: str, level: int = 2) -> str:
    return f"<h{level}>{escape(words)}</h{level}>"


def paragraph(words: str, kind: str = "") -> str:
    """Return a paragraph of plain words."""
    return f'<p class="{kind}">{escape(words)}</p>' if kind else f"<p>{escape(words)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], chosen: int | None = None, kind: str = "") -> str:
    """Return a table of plain words; it scrolls by itself where it is wider than a phone.

    kind: `worded` where the last column is no number
    """
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        ('<tr class="chosen">' if place == chosen else "<tr>")
        + "".join(
            f'<td data-label="{escape(title)}">{escape(cell)}</td>' for title, cell in zip(head, row, strict=True)
        )
        + "</tr>"
        for place, row in enumerate(rows)
    )
    return f'<div class="wide"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def listed(lines: Iterable[str]) -> str:
    """Return a list of plain words."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
