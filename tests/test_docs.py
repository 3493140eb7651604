"""The documentation is true: pages list every public name, links resolve, code runs as written, the site builds."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

import cascade

pytest.importorskip("pybtex")
DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS / "_ext"))
from cascade_pages import generated_pages  # noqa: E402
from cascade_pages.api import OTHER, TOPICS, names_by_topic, names_of  # noqa: E402

WRITTEN = {path.relative_to(DOCS).as_posix(): path for path in sorted([*DOCS.glob("*.md"), *DOCS.glob("guides/*.md")])}
RUN = [name for name, path in WRITTEN.items() if re.search(r"^```(python|sh)$", path.read_text(encoding="utf-8"), re.M)]


class Block(NamedTuple):
    """A piece of code of a page; `file` is where the page says that its text belongs."""

    language: str
    text: str
    file: str
    not_run: str


def blocks_of(page: str) -> Iterator[Block]:
    """Yield the code of a page in its order."""
    pattern = (
        r"(?:^% not run: (?P<why>[^\n]+)\n)?^```(?:\{code-block\} )?(?P<language>\w+)\n(?::caption: (?P<file>\S+)\n\n)?"
        r"(?P<text>.*?)^```$"
    )
    for match in re.finditer(pattern, WRITTEN[page].read_text(encoding="utf-8"), re.M | re.S):
        yield Block(match["language"], match["text"], match["file"] or "", match["why"] or "")


def command_lines(block: Block) -> list[list[str]]:
    """Return the commands of a block, split into words."""
    return [words for line in block.text.splitlines() if (words := shlex.split(line, comments=True))]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    written = {name: path.read_text(encoding="utf-8") for name, path in WRITTEN.items()}
    return written | {f"generated/{name}": text for name, text in generated_pages().items()}


def test_every_public_name_has_an_entry(pages):
    listed = set(re.findall(r"^\.\. auto\w+:: (\S+)$", "\n".join(pages.values()), re.M))
    assert {f"cascade.{name}" for name in cascade.__all__} <= listed
    parts = {part for topic in TOPICS for part in topic.parts}
    assert set(cascade._PARTS) <= parts
    for part in parts:
        assert names_of(part)


def test_every_public_name_has_a_topic():
    assert names_by_topic()[OTHER.page] == [], (
        "add the file of these names to a topic of docs/_ext/cascade_pages/api.py"
    )


def test_every_shipped_folder_and_command_has_a_page(pages):
    from cascade.cli import app

    for name in cascade.module_names():
        text = pages[f"generated/modules/{name}.md"]
        module = cascade.load_module(name)
        assert all(f"| `{port.id}` |" in text for port in module.ports), name
        assert all(f"| `{row.id}` |" in text for row in module.parameters), name
    for name in cascade.composition_names():
        assert f"(composition-{name})=" in pages[f"generated/compositions/{name}.md"]
    for command in app.registered_commands:
        name = command.name or command.callback.__name__.replace("_", "-")
        section = pages["generated/commands.md"].partition(f"## `cascade {name}`")[2].partition("\n## ")[0]
        assert "**Examples**" in section, name


def test_every_shipped_drug_has_a_page_with_its_numbers_targets_and_regimens(pages):
    for name in cascade.drug_names():
        text, drug = pages[f"generated/drugs/{name}.md"], cascade.load_drug(name)
        assert f"(drug-{name})=" in text and f"(#drug-{name})" in pages["generated/drugs/index.md"]
        numbers = text.partition("\n## Numbers\n")[2]
        assert all(f"| `{row.id}` |" in numbers for row in drug.parameters), name
        for title, rows in (("What it acts on", [each.target for each in drug.actions]), ("Regimens", drug.regimens)):
            section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
            assert all(f"| `{row}` |" in section for row in rows), (name, title)


def test_the_guide_names_every_entry_of_a_drug_folder():
    from cascade.therapy.drugs import _ACTION, _ENTRIES, _REGIMEN

    guide = WRITTEN["guides/give_drug.md"].read_text(encoding="utf-8").partition("### `drug.toml`")[2]
    for entry in {*_ENTRIES, *_ACTION, *_REGIMEN} - {"note"}:
        assert re.search(rf"`(?:\[+)?{entry}\b", guide), entry


def test_links_between_pages_resolve(pages):
    labels = {label for text in pages.values() for label in re.findall(r"^\(([\w.-]+)\)=$", text, re.M)}
    for name, text in pages.items():
        if name.endswith(".ipynb"):
            continue
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.S)):
            if link.startswith("#"):
                assert link[1:] in labels, f"{name}: {link}"
            elif not link.startswith("https://"):
                assert (DOCS / name).parent.joinpath(link).resolve().is_relative_to(DOCS), f"{name}: {link}"
                assert Path(name).parent.joinpath(link).as_posix() in pages or _is_written(name, link), (
                    f"{name}: {link}"
                )
        for label in re.findall(r"\{ref\}`[^`<]*<([^>]+)>`", text):
            assert label in labels, f"{name}: {label}"


def _is_written(name: str, link: str) -> bool:
    return ((DOCS / name).parent / link).resolve() in {path.resolve() for path in WRITTEN.values()}


def test_every_source_of_a_number_is_in_the_bibliography(pages):
    known = set(re.findall(r"^\(bib-(\S+)\)=$", pages["generated/bibliography.md"], re.M))
    for name in cascade.module_names():
        for row in cascade.load_module(name).parameters:
            assert set(row.source) <= known, (name, row.id)
    for name in cascade.drug_names():
        drug = cascade.load_drug(name)
        cited = [row.source for row in drug.parameters]
        cited += [each.entries.get("source", ()) for each in drug.regimens.values()]
        for key in {key for keys in cited for key in keys}:
            entry = pages["generated/bibliography.md"].partition(f"(bib-{key})=")[2].partition("\n(bib-")[0]
            assert f"(#drug-{name})" in entry, (name, key)


def test_counts_of_evidence_are_those_of_the_tables(pages):
    row = re.search(r"^\| \[ledger\].*$", pages["generated/assumed.md"], re.M).group()
    assert row.split(" | ")[1:] == ["0", "0", "0", "0", "0", "0%", "0 |"]  # its only constant is an input
    module = cascade.load_module("wnt")
    inputs = {port.id for port in module.ports if port.direction == "in"}
    own = [parameter.evidence for parameter in module.parameters if parameter.id not in inputs]
    drug = [parameter.evidence for parameter in cascade.load_drug("bevacizumab").parameters]
    row = re.search(r"^\| \[bevacizumab\].*$", pages["generated/assumed.md"], re.M).group().split(" | ")
    assert row[1:6] == [*(str(drug.count(g)) for g in ("measured", "fitted", "inferred", "assumed")), str(len(drug))]
    cells = re.search(r"^\| \[wnt\].*$", pages["generated/assumed.md"], re.M).group().split(" | ")
    assert cells[1:6] == [*(str(own.count(g)) for g in ("measured", "fitted", "inferred", "assumed")), str(len(own))]


def require_names(code: ast.Module, page: str) -> None:
    """Require that what a page imports from cascade and reads as `cascade.name` exists."""
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "cascade":
            home = import_module(node.module)
            assert all(hasattr(home, alias.name) for alias in node.names), f"{page}: {node.module}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cascade":
            assert node.attr in dir(cascade), f"{page}: cascade.{node.attr}"


@pytest.mark.parametrize("page", RUN)
def test_code_of_pages_compiles_and_names_what_exists(page):
    from typer.testing import CliRunner

    from cascade.cli import app

    for block in blocks_of(page):
        if block.language == "python":
            require_names(ast.parse(block.text, page), page)
        for words in command_lines(block) if block.language == "sh" else ():
            if words[0] == "cascade":
                told = CliRunner().invoke(app, [words[1], "--help"], env={"COLUMNS": "200"}).output
                assert all(word in told for word in words if word.startswith("--")), f"{page}: {' '.join(words)}"
            else:
                assert block.not_run, f"{page}: {' '.join(words)} is neither a cascade command nor marked `% not run`"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", RUN)
def test_code_of_pages_runs_as_written(page, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from cascade.cli import app

    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.not_run:
            continue
        if block.file:
            path = tmp_path / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, page, "exec"), names)
        for words in command_lines(block) if block.language == "sh" else ():
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, f"{page}: {' '.join(words)}: {done.output} {done.exception}"


LOADED = re.compile(r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["'](?:https?:)?//""")
STYLED = re.compile(
    r"""<link\b(?=[^>]*\brel=["'](?:stylesheet|preload|icon|preconnect))[^>]*\bhref=["'](?:https?:)?//"""
)
FETCHED = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])(?:https?:)?//""")


def test_a_reference_to_another_host_is_seen():
    assert LOADED.search('<script async src="https://host/a.js">') and LOADED.search("<img alt='' src='//host/a.png'>")
    assert STYLED.search('<link href="https://host/a.css" rel="stylesheet">') and FETCHED.search(
        "url('https://host/f')"
    )
    assert not LOADED.search('<a href="https://host/">') and not STYLED.search(
        '<link rel="canonical" href="https://h/">'
    )


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    """The notebooks are executed by `make docs` and by their own tests, not here."""
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(DOCS),
        str(tmp_path / "html"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built = list((tmp_path / "html").rglob("*.html"))
    assert len(built) > 50
    for path in built:
        text = path.read_text(encoding="utf-8")
        assert not LOADED.search(text) and not STYLED.search(text), path.name
    for path in (tmp_path / "html").rglob("*.css"):
        assert not FETCHED.search(path.read_text(encoding="utf-8")), path.name
