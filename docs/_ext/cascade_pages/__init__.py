"""A Sphinx extension that writes the generated pages of the site before it is read: `docs/generated/`.

`generated_pages()` returns them without Sphinx.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = "generated"


def generated_pages() -> dict[str, str]:
    """Return the text of every generated page by its path below `docs/generated/`."""
    from cascade_pages.api import api_pages
    from cascade_pages.assumed import assumed_page
    from cascade_pages.bibliography import bibliography_page
    from cascade_pages.commands import command_page
    from cascade_pages.drugs import drug_pages
    from cascade_pages.genotypes import genotype_pages
    from cascade_pages.lists import list_pages
    from cascade_pages.modules import module_pages
    from cascade_pages.notebooks import notebook_pages

    pages: dict[str, str] = {}
    models = (module_pages, drug_pages, genotype_pages, assumed_page, bibliography_page, list_pages)
    for make in (*models, command_page, api_pages, notebook_pages):
        pages |= make()
    return pages


def write_pages(docs: Path) -> None:
    """Write the generated pages and the picture; a page that did not change keeps its date, one that is gone goes."""
    from cascade_pages.picture import draw_picture

    folder, pages = docs / FOLDER, generated_pages()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in folder.rglob("*"):
        if path.suffix in (".md", ".ipynb") and path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    draw_picture(folder / "picture.svg")


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages when the build begins."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
