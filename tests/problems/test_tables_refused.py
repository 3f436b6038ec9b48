"""Tables that cannot be learned from, or only in part: one clear error, or a default that the notes state."""

from __future__ import annotations

import gzip
import re

import pytest

from fallline.errors import InputError
from fallline.problems import load


@pytest.fixture
def write(tmp_path):
    """Write a file; its path."""

    def to(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to


def rows(header, row, number=40):
    return header + "\n" + "".join(f"{row(k)}\n" for k in range(number))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv is empty: it has no header and no rows"),
        ("  \n\n", "t.csv is empty"),
        ("a,y\n", "t.csv is empty: it has no rows"),
        (rows("y", lambda k: k % 2), "no column beside the target 'y'"),
        ("a,b,y\n1,2,0\n1,2\n", "t.csv cannot be read as a table of 3 columns: .*Expected 3 columns, got 2: 1,2"),
        ("a,b,y\n1,2,0,9\n1,2,1,8\n", "table of 3 columns: .*got 4"),
        (rows("1,2,0", lambda k: f"{k},{k},{k % 2}"), "first line of t.csv holds numbers only.*must name the columns"),
        (b"PK\x03\x04\x00\x00" + bytes(range(256)), "t.csv is no text.*spreadsheet"),
        (rows("a,y,y", lambda k: f"{k * 1.1},{k % 2},{k % 3}"), "target 'y' is ambiguous: columns 2 and 3 of t.csv"),
        (rows("a,y", lambda k: f"{k * 1.1},yes"), r"'y' of t.csv has one class only \(yes\)"),
        (rows("a,y", lambda k: f"{k * 1.1},7.5"), "'y' of t.csv is 7.5 in all rows"),
        (rows("a,y", lambda k: f"{k * 1.1},"), "target 'y' of t.csv has no values"),
        (rows("a,y", lambda k: f"{k * 1.1},{k % 2}", 5), "5 rows with a target; 10 or more"),
        (rows("a,y", lambda k: f"{k * 1.1},u{k}"), "40 different values in 40 rows, too many to be classes"),
        (rows("a,y", lambda k: f"{k * 1.1},2020-01-{k % 28 + 1:02d}"), "'y' of t.csv holds dates"),
        (rows("a,y", lambda k: f"{k * 1.1},{'n.d.' if k == 3 else k * 2.5}"), "numbers but for 1 of its rows .*'n.d.'"),
        (rows("a,y", lambda k: f"u{k},{k % 2}", 100), "no column is left to learn from. .*identifiers do.: 'a'"),
        (rows("a,target", lambda k: f"{k * 1.1},{k % 2}"), "unknown target column of t.csv: 'y'.*Known: a, target"),
        (rows("a,Y", lambda k: f"{k * 1.1},{k % 2}"), "'y'.*told apart by case.*'Y'"),
        (rows("1,2.5,u", lambda k: f"{k},{k * 1.1},v"), "unknown target .*does the first line not name the columns"),
        (rows("a,y", lambda k: f"{k * 1.1},{2**60 + k % 3}"), r"'y' of t.csv holds whole numbers beyond 2\*\*53"),
    ],
)
def test_what_cannot_be_learned_from_is_said_before_any_training(write, content, message):
    path = write("t.csv", content)
    with pytest.raises(InputError, match=f"(?s){message}"):
        load(str(path), target="y")


def test_a_wrong_name_suggests_the_nearest(write):
    path = write("t.csv", rows("rooms,price", lambda k: f"{k % 7},{k * 1.5}"))
    with pytest.raises(InputError, match=r"unknown target column of t.csv: 'pricce'. Did you mean price"):
        load(f"{path}:pricce")
    with pytest.raises(InputError, match=r"target is missing: .*--target-column NAME.*'rooms', 'price'"):
        load(str(path))
    with pytest.raises(InputError, match=r"two targets were given, 'price' in the name and target='rooms'"):
        load(f"{path}:price", target="rooms")
    with pytest.raises(InputError, match=r"there is no file .*gone.csv.*Tables there: t.csv"):
        load(f"{path.parent / 'gone.csv'}:price")
    with pytest.raises(InputError, match=r"target='price' goes with a table.*'digits' is none"):
        load("digits", target="price")


@pytest.mark.parametrize(("name", "content"), [("t.parquet", b"none"), ("t.csv.gz", b"\x1f\x8bxxxx")])
def test_a_damaged_file_is_told(write, name, content):
    with pytest.raises(InputError, match=f"{name} cannot be read"):
        load(f"{write(name, content)}:y")


PLAIN = rows("größe,art,y", lambda k: f"{k * 1.7},{'é' if k % 3 else 'ß'},{k % 2}")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_same_text_in_any_encoding_is_the_same_problem(write, encoding):
    problem = load(f"{write('t.csv', PLAIN.encode(encoding))}:y")
    assert problem.fingerprint == load(f"{write('u.csv', PLAIN)}:y").fingerprint
    said = [note for note in problem.notes if "Windows-1252" in note]
    assert said == (["t.csv is not UTF-8 (line 1); it was read as Windows-1252."] if encoding == "cp1252" else [])
    unmarked = [note for note in problem.notes if f"it was read as {encoding.upper()}" in note]
    assert bool(unmarked) == (encoding in ("utf-16-le", "utf-16-be"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", PLAIN.replace(",", ";")),
        ("t.tsv", PLAIN.replace(",", "\t")),
        ("t.csv", PLAIN.replace(",", " , ")),
        ("t.csv", PLAIN.replace("\n", "\r\n")),
        ("t.csv.gz", gzip.compress(PLAIN.encode())),
    ],
    ids=["semicolons", "tabs", "spaces", "windows", "packed"],
)
def test_the_same_table_in_any_form_is_the_same_problem(write, name, content):
    problem = load(f"{write(name, content)}:y")
    assert problem.name == "t"
    assert problem.fingerprint == load(f"{write('u.csv', PLAIN)}:y").fingerprint


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (rows("a,b,y", lambda k: f"{k * 1.1},,{k % 2}"), r"Left out \(no values in the training rows\): 'b'"),
        (rows("a,c,y", lambda k: f"{k * 37 % 17},{k % 2},{k % 2}"), r"Left out \(equal to the target.*'c'"),
        (rows("a,a,y", lambda k: f"{k * 1.3},{k * 2.2},{k % 2}"), "More than one column is called 'a'"),
        (rows("a,y", lambda k: f"{'inf' if k % 4 == 0 else k * 1.1},{k % 2}"), "Missing values.*'a'"),
        (rows("a,y", lambda k: f"{'-inf' if k % 4 == 0 else k * 1.1},{k % 2}"), "10 values of 'a' are infinite"),
        (
            rows("a,y", lambda k: f"{k * 3 % 7},{'inf' if k % 4 == 0 else k * 1.1}"),
            "10 rows without 'y' .*10 of them .*infinite",
        ),
        (
            rows("a,y", lambda k: f"{10**30 if k == 3 else k * 1.1},{k % 2}"),
            r"1 values of 'a' \(1e\+30\) .* as missing",
        ),
        (
            rows("a,y", lambda k: f"{k * 1.1},{['None', 'low', 'high'][k % 3]}"),
            r"14 rows without 'y' .*'None'.* left out",
        ),
        (rows("a;y", lambda k: f"{k * 1.1};{k % 2}"), "Columns are separated by ';'"),
        (rows("a,y", lambda k: f"{'unknown' if k == 7 else k * 1.1},{k % 2}"), r"'a' is text that holds numbers: 1 of"),
        (rows("a,y", lambda k: f"{k * 1.1},{['Yes', 'yes', 'no'][k % 3]}"), "'Yes', 'yes' differ in case only"),
        (rows("a,b,y", lambda k: f"{k * 1.1},{' ?' if k % 2 else ' x'},{k % 2}"), "Missing values.*'b'"),
        (rows("a,y", lambda k: f"{k * 1.1},{'rare' if k == 3 else 'often'}"), "97.5% of the rows are 'often'"),
        (rows("a,y", lambda k: f"{k * 1.1},{'rare' if k == 3 else 'often'}"), "so no test score knows them: 'rare'"),
    ],
)
def test_what_is_done_about_odd_columns_is_said(write, content, note):
    problem = load(f"{write('t.csv', content)}:y")
    assert [said for said in problem.notes if re.search(note, said)]
    assert problem.train.x.isfinite().all()


def test_a_type_that_shows_late_in_a_long_file_is_seen(write):
    path = write("t.csv", rows("a,y", lambda k: f"{k % 97 if k < 99_990 else 'none of these'},{k % 2}", 100_000))
    assert [note for note in load(f"{path}:y").notes if "10 of its rows ('none of these') count as missing" in note]


def test_without_pyarrow_the_error_says_what_to_install(write, monkeypatch):
    from fallline.problems import optional

    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"reading t.csv needs pyarrow; .*pip install 'fallline\[tables\]'"):
        load(f"{write('t.csv', PLAIN)}:y")
