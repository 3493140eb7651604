"""The notebooks: copied beside the pages that show them; their outputs come from the build."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "notebooks"


def notebook_pages() -> dict[str, str]:
    """Return the notebooks and their table of contents."""
    files = sorted(FOLDER.glob("*.ipynb"))
    pages = {f"notebooks/{file.name}": file.read_text(encoding="utf-8") for file in files}
    names = [file.stem for file in files]
    listed = "\n".join(f"- {{doc}}`{_title(text)} <{Path(name).stem}>`" for name, text in pages.items())
    index = (
        "(notebooks)=\n# Notebooks\n\nEach explains one thing with code that you can change. They are in the folder"
        " `notebooks/` without output; what you see here was computed when the site was built.\n\n"
        + listed
        + "\n\n```{toctree}\n:maxdepth: 1\n:hidden:\n\n"
        + "\n".join(names)
        + "\n```\n"
    )
    return pages | {"notebooks/index.md": index}


def _title(text: str) -> str:
    for cell in json.loads(text)["cells"]:
        first = "".join(cell["source"]).partition("\n")[0]
        if cell["cell_type"] == "markdown" and first.startswith("# "):
            return first[2:].strip().replace("`", "")
    return "Notebook"
