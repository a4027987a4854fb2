"""Hooks of `mkdocs build`: generated pages, links out of docs/, and the hashes of inline scripts.

Pages link to files of the repository as GitHub shows them. On the site, Markdown files outside
docs/ become pages; other files are named without a link.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import ConfigurationError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tests.openapi import document
from tools.docs_site.api_reference import reference_pages

ROOT: Final = Path(__file__).parents[2]
SCRIPT_HASHES: Final = "script-hashes.json"
"""A file of the site: what a Content-Security-Policy must allow besides `'self'`."""
_OUTSIDE: Final = {
    "benchmarks/README.md": "measurements.md",
    "SECURITY.md": "security.md",
}
"""Pages of the site that lie outside docs/."""
_LINK: Final = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the numerous pages to the navigation, and those that mkdocs.yml does not name."""
    if config.nav is None:
        raise ConfigurationError("mkdocs.yml has no nav")
    sections: dict[str, list[Any]] = {
        name: pages for each in config.nav for name, pages in each.items()
    }
    sections["Game profiles"].append({"All profiles": _folder(config, "profiles")})
    sections["Operate it"].append({"Runbooks": _folder(config, "runbooks")})
    sections["Operate it"].append({"Security policy": _OUTSIDE["SECURITY.md"]})
    sections["How it works"].append({"Measurements": _OUTSIDE["benchmarks/README.md"]})
    sections["Change something"].append({"Decisions": _folder(config, "decisions")})
    named = json.dumps(config.nav)
    docs = Path(config.docs_dir)
    pages = [page.relative_to(docs).as_posix() for page in sorted(docs.rglob("*.md"))]
    if more := [page for page in pages if f'"{page}"' not in named]:
        config.nav.append({"More": more})
    config.nav.append({"API reference": list(_api_pages())})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    for path, content in _api_pages().items():
        files.append(File.generated(config, path, content=content))
    for source, path in _OUTSIDE.items():
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn each link to a file of the repository into one to a page, or into the file's name."""
    del config, files
    path = page.file.src_uri
    if path.startswith("decisions/"):
        page.meta.setdefault("search", {"boost": 0.5})  # guides come first
    source = next((outside for outside, each in _OUTSIDE.items() if each == path), f"docs/{path}")
    generated = not (ROOT / source).is_file()

    def link(found: re.Match[str]) -> str:
        text, target = found.groups()
        name, _, anchor = target.partition("#")
        if generated or ":" in target or not name:
            return found[0]
        place = Path(os.path.normpath(ROOT / Path(source).parent / name))
        if not place.exists():
            return found[0]  # which the strict build reports
        on_site = _page_of(place)
        named = place.relative_to(ROOT).as_posix()
        if on_site is None:
            return text if named in text else f"{text} (`{named}`)"
        relative = os.path.relpath(on_site, Path(path).parent)
        return f"[{text}]({relative}{'#' + anchor if anchor else ''})"

    return _LINK.sub(link, markdown)


def _page_of(place: Path) -> str | None:
    """Return the path of a file's page on the site, None if it has none."""
    docs = ROOT / "docs"
    if not place.is_relative_to(docs):
        return _OUTSIDE.get(place.relative_to(ROOT).as_posix())
    index = place / "README.md" if place.is_dir() else place
    return index.relative_to(docs).as_posix()


def on_post_build(config: MkDocsConfig) -> None:
    """Write the hashes of the inline scripts, so that the API can serve a strict policy.

    Deletes what is not used: the API responds to an unknown path with a problem document, and the
    source maps are larger than the scripts.
    """
    site = Path(config.site_dir)
    for unused in (site / "404.html", *site.rglob("*.map")):
        unused.unlink()
    scripts = {
        script
        for page in site.rglob("*.html")
        for script in _INLINE_SCRIPT.findall(page.read_text("utf-8"))
    }
    hashes = sorted(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    (site / SCRIPT_HASHES).write_text(json.dumps(hashes, indent=2) + "\n", "utf-8")


def _folder(config: MkDocsConfig, name: str) -> list[str]:
    """Return the pages of a folder, its index first."""
    pages = sorted((Path(config.docs_dir) / name).glob("*.md"))
    return [f"{name}/{page.name}" for page in sorted(pages, key=lambda page: page.stem != "README")]


@cache
def _api_pages() -> dict[str, str]:
    return reference_pages(document())
