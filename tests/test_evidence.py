"""Parameter tables: every finding at once, and a round trip without loss."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.errors import TableError
from cascade.evidence import COLUMNS, check_parameters, read_parameters, write_parameters
from cascade.specs import Parameter
from cascade.units import known_units

text = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\t\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\x00"),
    max_size=20,
)
words = text.map(str.strip)
numbers = st.floats(1e-300, 1e300).map(lambda value: float(f"{value:.15g}"))


@st.composite
def parameters(draw):
    low, nominal, high = sorted(draw(st.lists(numbers, min_size=3, max_size=3, unique=True)))
    return Parameter(
        id=draw(st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,5})?", fullmatch=True)),
        name=draw(words),
        nominal=nominal,
        lower=low,
        upper=high,
        estimate=True,
        prior="log-normal",
        prior_parameters=(round(math.log(nominal), 6), 0.5),
        unit=draw(st.sampled_from(known_units())),
        evidence=draw(st.sampled_from(["measured", "assumed"])),
        source=tuple(draw(st.lists(st.from_regex(r"[a-z]{2,8}[0-9]{4}", fullmatch=True), max_size=2))),
        note=draw(words),
        gene=draw(words),
    )


@given(rows=st.lists(parameters(), max_size=5, unique_by=lambda row: row.id))
@settings(deadline=None)
def test_a_table_survives_writing_and_reading(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "parameters.tsv"
    write_parameters(path, rows)
    assert read_parameters(path) == tuple(rows)


GOOD = Parameter(
    id="k_bind", name="binding", nominal=1, lower=0.5, upper=2, estimate=True, prior="log-normal",
    prior_parameters=(0.0, 0.35), unit="per_day", evidence="measured", source=("zi2011",), where="table 1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "k__bind"}, "snake case"),
        ({"id": "Kbind"}, "snake case"),
        ({"unit": "nanomolar"}, "unknown word 'nanomolar'"),
        ({"evidence": "guessed"}, "evidence is 'guessed'"),
        ({"source": ()}, "measured without a source"),
        ({"source": ("nobody1900",)}, "'nobody1900' is not in references.bib"),
        ({"where": ""}, "measured without `where`"),
        ({"evidence": "assumed"}, "assumed without a reason"),
        ({"upper": None}, "a bound is missing"),
        ({"prior": "triangular"}, "priorDistribution is 'triangular'"),
        ({"prior_parameters": (1.0,)}, "priorParameters has 1 numbers"),
        ({"prior_parameters": (1.0, 0.0)}, "standard deviation is 0"),
        ({"lower": -1.0}, "a logarithm needs a bound above 0"),
    ],
)
def test_each_fault_is_found_and_explained(tmp_path, change, message):
    path = tmp_path / "parameters.tsv"
    write_parameters(path, [replace(GOOD, **change)])
    issues = check_parameters(path, sources={"zi2011"})
    assert any(message in str(issue) for issue in issues), issues
    assert all(GOOD.id in issue.where or "bind" in issue.where for issue in issues)


def test_all_faults_come_at_once(tmp_path):
    path = tmp_path / "parameters.tsv"
    cells = ["k_a", "a", "", "", "one", "true", "", "", "per_day", *[""] * 8]
    other = ["k_b", "b", "", "", "1", "maybe", "", "", "per_day", *[""] * 8]
    path.write_text("\n".join("\t".join(row) for row in (COLUMNS, cells, other)))
    with pytest.raises(
        TableError, match=r"line 2: nominalValue 'one' is not a number[\s\S]*line 3.*estimate is 'maybe'"
    ):
        read_parameters(path)


def test_wrong_header_and_missing_file_say_so(tmp_path):
    (tmp_path / "parameters.tsv").write_text("a\tb\n")
    with pytest.raises(TableError, match="the header must be the 17 columns"):
        read_parameters(tmp_path / "parameters.tsv")
    with pytest.raises(TableError, match=r"cannot read .*No such file"):
        read_parameters(tmp_path / "none.tsv")


def test_ids_that_differ_in_case_only_are_refused(tmp_path):
    path = tmp_path / "parameters.tsv"
    write_parameters(path, [GOOD, replace(GOOD, id="K_BIND")])
    assert any("stands twice" in str(issue) for issue in check_parameters(path))


@pytest.mark.parametrize("bad", [{"nominal": math.nan}, {"nominal": 5.0}, {"lower": 1.5}])
def test_a_row_checks_itself(bad):
    with pytest.raises(TableError):
        replace(GOOD, **bad)
