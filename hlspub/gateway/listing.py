"""The page of a directory.

Rule: names come from whoever made the directory, so each is escaped where it is shown and encoded whole where it is linked.
The page runs nothing and loads one style sheet of this origin. It shows the first `SHOWN` entries: a stream's directory may
hold 100,000, and every one of them can be opened by its address. Its words and links are those of other IPFS gateways' pages,
down to a file name that is encoded twice behind a CID: programs read such pages, and `gateway-conformance` holds them to it.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final
from urllib.parse import quote

from hlspub.gateway import paths
from hlspub.ipld.cid import Cid
from hlspub.ipld.dagpb import Link

SHOWN: Final = 5000
CACHE: Final = "public, max-age=604800, stale-while-revalidate=2678400"
HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
}
_VERSION: Final = 2  # raised with every change of the page, so that no cache keeps the old one
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def etag(cid: Cid) -> str:
    """The tag of a directory's page: the page depends on this code and on the CID."""
    return f'"DirIndex-hlspub{_VERSION}_CID-{cid}"'


def page(base: str, root: Cid, names: Sequence[str], entries: Sequence[Link]) -> str:
    """The page of the directory at `root` + `names`, which was asked for as `base`, a URL path without a last slash."""
    rows = "\n".join(_row(base, link) for link in entries[:SHOWN])
    count = "1 entry" if len(entries) == 1 else f"{len(entries):,} entries"
    cut = f" The first {SHOWN:,} are shown; every other opens by its address." if len(entries) > SHOWN else ""
    title = escape("/".join(("/ipfs", str(root), *names)))
    up = f'<tr><td><a href="{escape(base)}/..">..</a></td><td></td><td></td></tr>\n' if names else ""
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Index of {title}</title>
<link rel="icon" href="/static/icon.svg">
<link rel="stylesheet" href="/static/style.css">
<body class="listing">
<main>
<h1>Index of {_crumbs(root, names)}</h1>
<p class="quiet">{count}.{cut}</p>
<table>
<thead><tr><th scope="col">Name</th><th scope="col" class="number">Size</th><th scope="col">CID</th></tr></thead>
<tbody>
{up}{rows}
</tbody>
</table>
</main>
</body>
</html>
"""


def size_text(size: int) -> str:
    """A size for people: "3 bytes", "1.5 MiB"."""
    step = min(max(size.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    if step == 0:
        return "1 byte" if size == 1 else f"{size} bytes"
    return f"{size / (1 << 10 * step):.1f} {_UNITS[step]}"


def _row(base: str, link: Link) -> str:
    href = escape(base + paths.join(link.name))
    filename = quote(quote(link.name, safe=""))
    return (
        f'<tr><td><a href="{href}">{escape(link.name)}</a></td><td class="number">{size_text(link.tsize)}</td>'
        f'<td><a class="ipfs-hash" translate="no" href="/ipfs/{link.cid}?filename={filename}">{link.cid}</a></td></tr>'
    )


def _crumbs(root: Cid, names: Sequence[str]) -> str:
    crumbs = [f'<a href="{paths.join("ipfs", str(root))}">{root}</a>']
    for depth, name in enumerate(names, 1):
        href = paths.join("ipfs", str(root), *names[:depth])
        crumbs.append(f'<a href="{escape(href)}">{escape(name)}</a>')
    return "/ipfs/" + "/".join(crumbs)
