"""Archives of strangers are read without harm."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade import archive as module
from cascade.archive import open_archive, read_archive
from cascade.errors import CascadeError, FileError, SBMLError, UnknownNameError

SBML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"><model id="small"/></sbml>\n'
)
MANIFEST = (
    '<omexManifest xmlns="http://identifiers.org/combine.specifications/omex-manifest">'
    '<content location="./other.xml" format="http://identifiers.org/combine.specifications/sbml"/>'
    '<content location="./a/model.xml" format="http://identifiers.org/combine.specifications/sbml" master="true"/>'
    "</omexManifest>"
)


def packed(*entries: tuple[str | zipfile.ZipInfo, str | bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in entries:
            made.writestr(name, text)
    return sink.getvalue()


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "made.omex"
    path.write_bytes(data)
    return path


def test_the_models_of_the_manifest_are_read_and_the_master_comes_first(tmp_path):
    data = packed(("manifest.xml", MANIFEST), ("other.xml", SBML), ("a/model.xml", SBML), ("third.xml", SBML))
    found = read_archive(saved(tmp_path, data))
    assert list(found) == ["a/model.xml", "other.xml"]
    assert found["other.xml"] == SBML


def test_without_a_manifest_files_whose_root_is_sbml_are_models(tmp_path):
    data = packed(("model.xml", SBML), ("note.xml", "<note/>"), ("text.txt", SBML), ("broken.xml", "<"))
    assert list(read_archive(saved(tmp_path, data))) == ["model.xml"]


REAL = (
    '<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"><model id="small">'
    '<listOfParameters><parameter id="k" value="2" constant="true"/></listOfParameters></model></sbml>'
)
COMP = (
    '<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1" comp:required="true"'
    ' xmlns:comp="http://www.sbml.org/sbml/level3/version1/comp/version1"><model id="whole">'
    '<comp:listOfSubmodels><comp:submodel comp:id="a" comp:modelRef="part"/></comp:listOfSubmodels></model>'
    '<comp:listOfExternalModelDefinitions><comp:externalModelDefinition comp:id="part" comp:source="{source}"'
    ' comp:modelRef="small"/></comp:listOfExternalModelDefinitions></sbml>'
)


def test_a_model_is_opened_by_the_safe_way(tmp_path):
    path = saved(tmp_path, packed(("models/small.xml", REAL), ("other.xml", REAL)))
    opened = open_archive(path)
    assert opened.name == "small" and 'id="k"' in opened.flat and opened.hierarchical is None
    assert open_archive(path, model="./other.xml").name == "other"
    with pytest.raises(UnknownNameError, match=r"no SBML file 'third\.xml'"):
        open_archive(path, model="third.xml")


def test_a_model_may_use_another_of_its_archive_but_nothing_outside(tmp_path):
    part = REAL.replace("version2/core", "version1/core").replace('version="2"', 'version="1"')
    inside = packed(("m/whole.xml", COMP.format(source="part.xml")), ("m/part.xml", part))
    assert 'id="a__k"' in open_archive(saved(tmp_path, inside)).flat
    (tmp_path / "secret.xml").write_text(part)
    for source in ("../../secret.xml", str(tmp_path / "secret.xml")):
        with pytest.raises(SBMLError, match="secret"):
            open_archive(saved(tmp_path, packed(("m/whole.xml", COMP.format(source=source)))))


def test_nothing_is_written_to_the_disk(tmp_path):
    path = saved(tmp_path, packed(("a/model.xml", SBML)))
    read_archive(path)
    assert list(tmp_path.rglob("*")) == [path]


def test_an_archive_in_the_archive_stays_closed(tmp_path):
    inner = packed(("model.xml", SBML))
    with pytest.raises(SBMLError, match=r"holds no SBML; its entries are inner\.omex"):
        read_archive(saved(tmp_path, packed(("inner.omex", inner))))


@pytest.mark.parametrize(
    "name",
    ["../model.xml", "a/../../model.xml", "/etc/model.xml", "C:/model.xml", "c:model.xml", "a\\..\\model.xml", ".."],
)
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    with pytest.raises(SBMLError, match="leads out of the archive's folder"):
        read_archive(saved(tmp_path, packed(("model.xml", SBML), (name, SBML))))


@pytest.mark.parametrize("name", ["", "a\nb.xml", "x" * 256])
def test_a_name_that_is_no_name_is_refused(tmp_path, name):
    with pytest.raises(SBMLError, match="the name is empty, longer than 255 bytes, or has control characters"):
        read_archive(saved(tmp_path, packed((zipfile.ZipInfo(name), SBML))))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path, kind):
    entry = zipfile.ZipInfo("model.xml")
    entry.external_attr = (kind | 0o777) << 16
    with pytest.raises(SBMLError, match="a link or a device"):
        read_archive(saved(tmp_path, packed((entry, "/etc/passwd"))))


@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile warns while the bad archive is made
@pytest.mark.parametrize("again", ["model.xml", "MODEL.xml", "./model.xml"])
def test_a_name_that_stands_twice_is_refused(tmp_path, again):
    with pytest.raises(SBMLError, match="stands twice"):
        read_archive(saved(tmp_path, packed(("model.xml", SBML), (again, SBML))))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    data = packed(("model.xml", b" " * 20_000_000))
    assert len(data) < 100_000
    with pytest.raises(SBMLError, match="the limit is 200 to 1"):
        read_archive(saved(tmp_path, data))


def test_an_entry_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(SBMLError, match="bytes unpacked; the limit is 100"):
        read_archive(saved(tmp_path, packed(("model.xml", SBML))))


def test_too_much_in_all_and_too_many_entries_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, packed(("model.xml", SBML), ("other.xml", SBML)))
    monkeypatch.setattr(module, "MAX_TOTAL", len(SBML) + 1)
    with pytest.raises(SBMLError, match="bytes unpacked"):
        read_archive(path)
    monkeypatch.setattr(module, "MAX_ENTRIES", 1)
    with pytest.raises(SBMLError, match="2 entries; the limit is 1"):
        read_archive(path)


def test_a_size_that_lies_does_not_unpack_more(tmp_path):
    data = bytearray(packed(("model.xml", SBML * 1000)))
    place = data.rindex(b"PK\x01\x02")  # the central directory: the unpacked size is at 24
    struct.pack_into("<I", data, place + 24, 100)
    with pytest.raises(SBMLError, match="no whole zip file"):
        read_archive(saved(tmp_path, bytes(data)))


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    data = bytearray(packed(("1.xml", SBML * 50), ("2.xml", SBML * 50)))
    place = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, place + 42, 0)  # the second entry now points to the bytes of the first
    with pytest.raises(SBMLError):
        read_archive(saved(tmp_path, bytes(data)))


def test_an_encrypted_entry_is_refused(tmp_path):
    data = bytearray(packed(("model.xml", SBML)))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(SBMLError, match="it is encrypted"):
        read_archive(saved(tmp_path, bytes(data)))


def test_other_compression_is_refused(tmp_path):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("model.xml", SBML)
    with pytest.raises(SBMLError, match="compression method 14"):
        read_archive(saved(tmp_path, sink.getvalue()))


@pytest.mark.parametrize("data", [b"", b"PK", b"<sbml/>", packed(("model.xml", SBML))[:-30]])
def test_what_is_no_whole_archive_is_told(tmp_path, data):
    with pytest.raises(SBMLError, match="no whole zip file"):
        read_archive(saved(tmp_path, data))


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    for path in (tmp_path / "none.omex", tmp_path):
        with pytest.raises((SBMLError, FileError), match="no such regular file"):
            read_archive(path)


def test_a_manifest_that_names_what_is_not_there_is_told(tmp_path):
    with pytest.raises(SBMLError, match=r"names other\.xml, which the archive does not hold"):
        read_archive(saved(tmp_path, packed(("manifest.xml", MANIFEST), ("a/model.xml", SBML))))


def test_a_doctype_is_refused_in_the_manifest_and_in_a_model(tmp_path):
    bad = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    for entries in ((("manifest.xml", bad + MANIFEST), ("a/model.xml", SBML)), (("model.xml", bad + "<sbml/>"),)):
        with pytest.raises(SBMLError, match="DOCTYPE"):
            read_archive(saved(tmp_path, packed(*entries)))


def test_another_encoding_is_told(tmp_path):
    text = SBML.replace("UTF-8", "latin-1").replace("small", "small_\xe9").encode("latin-1")
    with pytest.raises(SBMLError, match="not UTF-8"):
        read_archive(saved(tmp_path, packed(("model.xml", text))))


WHOLE = packed(("manifest.xml", MANIFEST), ("other.xml", SBML), ("a/model.xml", SBML * 20))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
def test_damage_is_an_error_of_ours_or_no_damage(tmp_path_factory, changes, cut):
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    path = tmp_path_factory.mktemp("damage", numbered=True) / "made.omex"
    path.write_bytes(bytes(data[: changes[0][0]] if cut else data))
    try:
        assert read_archive(path)
    except CascadeError as error:
        assert str(path) in str(error)
