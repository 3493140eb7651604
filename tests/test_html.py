"""Models show themselves in Jupyter: contents, wiring, units, where the numbers come from; user text is escaped."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from folders import make_composition, make_module

import cascade


class Balance(HTMLParser):
    """Fails on a tag that is not closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def views(tmp_path):
    folder = make_composition(tmp_path, {"down.c_in": "up.c_a"})
    composition = cascade.load_composition(folder)
    model = cascade.treat(cascade.compose(composition), cascade.inhibit("up.v_make", by=0.5, stop=9))
    module = cascade.load_module(make_module(tmp_path / "more", "source"))
    things = {"module": module, "composition": composition, "model": model, "report": cascade.check(folder)}
    return {name: thing._repr_html_() for name, thing in things.items()}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("module", ["k_make", "nM_per_day", "value of a test", "assumed"]),
        ("composition", ["up", "source", "down.c_in", "up.c_a"]),
        ("model", ["down.c_in", "up.c_a", "nM", "inhibit up.v_make by 0.5"]),
        ("report", ["grade", "share"]),
    ],
)
def test_views_say_what_is_in_it(views, name, words):
    page = views[name]
    for word in words:
        assert word in page, word
    Balance().feed(page)


def test_text_of_the_user_is_escaped(tmp_path):
    module = cascade.load_module(make_module(tmp_path, "source"))
    row = replace(module.parameters[0], note="<script>alert(1)</script>")
    page = replace(module, parameters=(row,))._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page
