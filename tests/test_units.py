"""The unit vocabulary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import TableError
from cascade.units import dimension, known_units, magnitude, parse_unit, same_unit

words = st.sampled_from(known_units())


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("nM", 1e-6),  # nmol/l in mol/m3
        ("per_day", 1 / 86400),
        ("nM_per_day", 1e-6 / 86400),
        ("per_nM2_per_day", 1e12 / 86400),
        ("molecule_per_um2", 1.66053906717e-24 * 1e12),
        ("mmHg", 133.322387415),
        ("Mcell_per_ml", 1.66053906717e-24 * 1e6 / 1e-6),
    ],
)
def test_size_of_a_unit(unit, expected):
    assert magnitude(unit) == pytest.approx(expected, rel=1e-9)


def test_the_same_unit_in_other_words():
    assert same_unit("Mcell_per_ml", "Gcell_per_litre")
    assert same_unit("cell", "lesion")
    assert same_unit("cm3", "ml")
    assert not same_unit("nM", "uM")
    assert not same_unit("nM", "cell")


@given(st.lists(words, min_size=1, max_size=4))
def test_a_unit_divided_by_itself_is_one(factors):
    unit = "_".join(factors) + "".join(f"_per_{word}" for word in reversed(factors))
    assert dimension(unit) == ()
    assert magnitude(unit) == pytest.approx(1)


@given(st.text(alphabet="abcxyz_0129", max_size=12))
def test_unknown_words_are_refused_by_name(text):
    try:
        parse_unit(text)
    except TableError as error:
        assert repr(text) in str(error)
