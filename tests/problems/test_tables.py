"""Tables: what becomes of each kind of column, against scikit-learn; where the target's task comes from; the split."""

from __future__ import annotations

import string
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from fallline.errors import InputError
from fallline.problems import load
from fallline.problems.tables import split_target, texts
from fallline.problems.tables.encoders import Categories, Dates, Numbers, Words
from fallline.problems.tables.read import read

ROWS = 400


@pytest.fixture(scope="module")
def houses() -> pd.DataFrame:
    """Prices of houses with columns of all kinds and values that are missing."""
    random = np.random.default_rng(0)
    size = random.normal(100, 30, ROWS).round(1)
    city = random.choice(["Oslo", "Paris", "Rome"], ROWS)
    price = (1000 * size + 5000 * (city == "Paris") + random.normal(0, 3000, ROWS)).round(2)
    sold = [(date(2020, 1, 1) + timedelta(int(days))).strftime("%d/%m/%Y") for days in random.integers(0, 900, ROWS)]
    words = [" ".join(random.choice(["nice", "old", "big", "sunny", "quiet"], 5)) + f" no{k}" for k in range(ROWS)]
    frame = pd.DataFrame({"id": range(ROWS), "size": size, "city": city, "sold": sold, "said": words})
    frame["uid"] = [f"u{k}" for k in range(ROWS)]
    frame["level"] = 1
    frame["tax"] = [f"${value:,.0f}" for value in price / 10]
    frame["price"] = price
    frame.loc[::7, "size"] = None
    frame.loc[::11, "city"] = None
    frame.loc[::50, "price"] = None
    return frame


@pytest.fixture
def table(houses, tmp_path):
    """The same as a CSV file."""
    houses.to_csv(tmp_path / "houses.csv", index=False)
    return tmp_path / "houses.csv"


def saying(problem, text):
    return [note for note in problem.notes if text in note]


def test_a_table_with_missing_values_text_and_dates_becomes_a_problem_that_trains(table):
    problem = load(str(table), target="price")
    assert problem.name == "houses"
    assert problem.sizes == {"train": 255, "valid": 78, "test": 59}
    assert (problem.metric.name, problem.metric.maximize) == ("mae", False)
    optimizer = torch.optim.Adam((model := problem.build(0)).parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        problem.loss(model(problem.train.x), problem.train.y).backward()
        optimizer.step()
    x, y = problem.test.x, problem.test.y
    with torch.no_grad():  # the tax is a tenth of the price
        assert problem.metric.mean(model(x), y) < 0.4 * problem.metric.mean(torch.zeros_like(y), y)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("8 rows without 'price'", ""),
        ("Missing values", "'size', 'city'"),
        ("Numbers, less the training mean", "'size', 'tax'"),
        ("Categories", "'city'"),
        ("Dates, as days", "'sold'"),
        ("Free text", "'said'"),
        ("identifiers", "'uid'"),
        ("one value in all", "'level'"),
        ("count the rows", "'id'"),
        ("read as %d/%m/%Y", "'sold'"),
        ("commas separate thousands", "'tax'"),
        ("Regression: 'price' holds numbers that are not whole", ""),
    ],
)
def test_notes_say_what_was_done_to_which_column(table, text, columns):
    (note,) = saying(load(str(table), target="price"), text)
    assert columns in note


def test_a_parquet_file_is_the_same_problem_as_the_csv(table, houses):
    houses.to_parquet(table.with_suffix(".parquet"))
    first, second = load(f"{table}:price"), load(str(table.with_suffix(".parquet")), target="price")
    assert first.fingerprint == second.fingerprint


def test_metric_is_in_the_targets_own_unit_and_its_scale_is_the_training_rows(table, houses):
    problem = load(f"{table}:price")
    prices = houses["price"].dropna().to_numpy()
    train = problem.train.y.numpy()[:, 0].astype(np.float64)
    assert abs(train.mean()) < 1e-6
    assert abs(train.std() - 1) < 1e-6
    scale = problem.metric.mean(torch.zeros(1, 1), torch.ones(1, 1))
    back = np.concatenate([part.y.numpy()[:, 0] for part in (problem.train, problem.valid, problem.test)]) * scale
    assert np.allclose(np.sort(back - back.min()), np.sort(prices - prices.min()), atol=0.05)


def rows_of(problem):
    """The rows of each split, of a table whose target is the number of the row and a half."""
    unit = problem.metric.mean(torch.zeros(1, 1), torch.ones(1, 1))
    targets = {name: getattr(problem, name).y[:, 0].double() * unit for name in ("train", "valid", "test")}
    first = min(float(values.min()) for values in targets.values())
    return {name: (values - first).round().int().tolist() for name, values in targets.items()}


def test_nothing_about_held_out_rows_enters_the_features(tmp_path):
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"a": random.normal(size=200), "b": random.choice(list("xyz"), 200)})
    frame.loc[random.random(200) < 0.2, "a"] = None
    frame["y"] = np.arange(200) + 0.5
    frame.to_csv(tmp_path / "t.csv", index=False)
    before = load(f"{tmp_path / 't.csv'}:y")
    rows = rows_of(before)
    assert sorted(rows["train"] + rows["valid"] + rows["test"]) == list(range(200))
    frame.loc[rows["valid"] + rows["test"], ["a", "b"]] = [1e6, "new"]
    frame.to_csv(tmp_path / "t.csv", index=False)
    after = load(f"{tmp_path / 't.csv'}:y")
    assert torch.equal(before.train.x, after.train.x)
    assert (after.valid.x[:, 0] > 1e5).all()
    assert (after.valid.x[:, 1:] == 0).all()


def test_numbers_are_scikit_learns_imputer_and_scaler():
    random = np.random.default_rng(0)
    train = pd.Series(random.normal(5, 2, 50)).mask(random.random(50) < 0.2)
    other = pd.Series([1.0, np.nan, 7.0])
    encoder, imputer, scaler = (
        Numbers.fit(train),
        SimpleImputer(strategy="median", add_indicator=True),
        StandardScaler(),
    )
    full = imputer.fit_transform(train.to_numpy()[:, None])
    scaler.fit(full[:, :1])
    expected = imputer.transform(other.to_numpy()[:, None])
    expected[:, :1] = scaler.transform(expected[:, :1])
    assert np.allclose(encoder(other), expected, atol=1e-6)


def test_categories_are_scikit_learns_one_hot():
    train, other = pd.Series(["b", "a", "c", "a"], dtype="str"), pd.Series(["c", "new", "a"], dtype="str")
    expected = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(train.to_frame().to_numpy())
    assert np.array_equal(Categories.fit(train)(other), expected.transform(other.to_frame().to_numpy()))


def test_a_missing_category_is_one_of_its_own_where_training_has_some():
    values = pd.Series(["b", None, "a"], dtype="str")
    assert Categories.fit(values)(values).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert Categories.fit(values.dropna())(values)[1].tolist() == [0, 0]


def test_free_text_is_scikit_learns_tfidf():
    said = ["the cat and the dog", "a dog", "the the cat", "a bird of the sea", "sea and cat"]
    encoder = Words.fit(pd.Series(said, dtype="str"))
    made = TfidfVectorizer(vocabulary=list(encoder.weights), sublinear_tf=True, token_pattern=r"\w+").fit(said)
    others = ["cat cat dog", "nothing known", "sea"]
    assert np.allclose(encoder(pd.Series(others, dtype="str")), made.transform(others).toarray(), atol=1e-6)
    assert "bird" not in encoder.weights  # one text alone has it


def test_dates_are_days_and_places_on_the_circles_of_year_and_week():
    days = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-31", None, "2020-07-01"]))
    made = Dates.fit(days)(days)
    assert made.shape == (4, 6)  # days, missing, two sines, two cosines
    assert made[:, 1].tolist() == [0, 0, 1, 0]
    assert np.isclose(made[0, 2], np.sin(2 * np.pi * 1 / 365.25))
    assert np.isclose(made[0, 3], np.sin(2 * np.pi * 2 / 7))  # a Wednesday
    assert made[2, 2:].tolist() == [0, 0, 0, 0]
    with_times = pd.Series(pd.to_datetime(["2020-01-01 06:00", "2020-01-02 00:00"]))
    assert np.isclose(Dates.fit(with_times)(with_times)[0, 3], 1)  # a quarter of a day


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["a", "b"], "holds text", 2),
        ([True, False], "holds truth values", 2),
        ([3, 4, 5, 6], "4 different whole numbers", 4),
        ([1.0, 2.0], "2 different whole numbers", 2),
        ([0.5, 1.0, 2.0], "not whole", 0),
        (range(50), "50 different whole numbers", 0),
        (["1,200", "3,400", "1,250.50"], "not whole", 0),
    ],
    ids=["text", "truth", "few-whole", "whole-floats", "halves", "many-whole", "money"],
)
def test_the_task_follows_the_rule_that_notes_state(tmp_path, values, task, classes):
    pd.DataFrame(
        {"a": np.random.default_rng(0).random(200), "y": [values[k % len(values)] for k in range(200)]}
    ).to_csv(tmp_path / "t.csv", index=False)
    problem = load(f"{tmp_path / 't.csv'}:y")
    assert saying(problem, "Classification" if classes else "Regression")[0].count(task) == 1
    assert problem.build(0)[-1].out_features == (classes or 1)


def test_the_task_may_be_asked_for(tmp_path):
    frame = pd.DataFrame({"a": np.random.default_rng(0).random(200), "y": np.arange(200) % 7})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert load(f"{tmp_path / 't.csv'}:y").metric.name == "accuracy"
    asked = load(f"{tmp_path / 't.csv'}:y:regression")
    assert asked.metric.name == "mae"
    assert asked.source == f"{tmp_path / 't.csv'}:y:regression"
    assert load(str(tmp_path / "t.csv"), target="y:classification").metric.name == "accuracy"


def test_every_class_is_in_every_split_in_proportion(tmp_path):
    labels = ["common"] * 160 + ["some"] * 40 + ["rare"]
    frame = pd.DataFrame({"a": np.random.default_rng(0).random(201), "y": labels})
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "t.csv", index=False)
    problem = load(f"{tmp_path / 't.csv'}:y")
    counts = {name: torch.bincount(getattr(problem, name).y, minlength=3).tolist() for name in problem.sizes}
    assert counts == {"train": [104, 1, 26], "valid": [32, 0, 8], "test": [24, 0, 6]}


def test_many_categories_keep_the_most_frequent(tmp_path):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"c": [f"c{int(k)}" for k in random.geometric(0.02, 2000)], "y": np.arange(2000) % 2})
    frame.to_csv(tmp_path / "t.csv", index=False)
    problem = load(f"{tmp_path / 't.csv'}:y")
    assert problem.train.x.shape[1] == 32
    assert saying(problem, "categories in the training rows: the 32 most frequent")
    assert isinstance(problem.build(0)[0], nn.Linear)


@pytest.mark.parametrize(
    ("given", "expected", "note"),
    [
        (["1,234", "5,678,901", "7"], [1234, 5678901, 7], "commas separate thousands"),
        (["1,5", "2,25", "3"], [1.5, 2.25, 3], "commas are decimal points"),
        (["1.234,5", "7"], [1234.5, 7], "commas are decimal points"),
        (["$5", "€ 6.5", "7%"], [5, 6.5, 7], ""),
        (["-1e-3", "+2.", ".5"], [-0.001, 2, 0.5], ""),
    ],
)
def test_text_that_holds_numbers(given, expected, note):
    values, said = texts.numbers(pd.Series(given, dtype="str"))
    assert values.tolist() == expected
    assert said == note


@given(st.lists(st.floats(-1e12, 1e12).map(lambda x: round(x, 3)), min_size=2), st.sampled_from([",", ""]))
def test_numbers_survive_being_written(numbers, thousands):
    written = pd.Series([f"{x:{thousands}.3f}" for x in numbers], dtype="str")
    values, _ = texts.numbers(written)
    assert np.allclose(values, numbers, rtol=0, atol=6e-4)


@given(st.lists(st.dates(date(1900, 1, 1), date(2100, 1, 1)), min_size=1), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y"]))
def test_dates_survive_being_written(days, form):
    values, note = texts.dates(pd.Series([day.strftime(form) for day in days], dtype="str"))
    assert values.dt.date.tolist() == days
    assert note == f"read as {form}"


def test_dates_that_two_forms_fit_say_so():
    _, note = texts.dates(pd.Series(["01/02/2020", "03/04/2020"], dtype="str"))
    assert note == "read as %m/%d/%Y, though %d/%m/%Y would fit too"


@given(
    st.text(string.ascii_letters + "/.:_ -", min_size=1, max_size=20), st.sampled_from([".csv", ".parquet", ".tsv.gz"])
)
def test_a_target_in_the_name_is_found_again(target, suffix):
    assert split_target(f"/some/table{suffix}:{target}") == (f"/some/table{suffix}", target)
    assert split_target(f"/some/table{suffix}") == (f"/some/table{suffix}", None)


CELLS = st.one_of(st.none(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=8), st.booleans())


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=30))
def test_any_csv_is_read_with_all_its_rows_or_refused(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    pd.DataFrame(rows, columns=["a", "b", "c"]).to_csv(path, index=False)
    try:
        columns, _ = read(path)
    except InputError:
        return
    assert [column.name for column in columns] == ["a", "b", "c"]
    assert {len(column.values) for column in columns} == {len(rows)}
