"""Tables of other libraries, sparse matrices and files: all become the same interactions."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import nanoarrow
import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from recbook import preprocessing, splits
from recbook.evaluation import evaluate
from recbook.interactions import Interactions, as_interactions
from recbook.numpy.introduction import Popularity
from tests.helpers.bad_inputs import refuses

TABLE = pd.DataFrame(
    {
        "user": ["Ann", "Bob", "Ann", "Cem"],
        "item": [30, 10, 10, 20],
        "rating": [5.0, 3.0, 4.0, 1.0],
        "timestamp": [40, 10, 20, 30],
        "event": ["click", None, "buy", "click"],
    }
)
X = Interactions.from_frame(TABLE)


class Stream:
    """Nothing but an Arrow stream: what a library gives that neither pandas nor narwhals knows."""

    def __init__(self, table: pl.DataFrame):
        self.__arrow_c_stream__ = table.__arrow_c_stream__


class ColdStream(Stream):
    def __arrow_c_stream__(self, requested_schema=None):
        raise RuntimeError("the query failed")

    def __init__(self):
        pass


POLARS = pl.DataFrame({name: [None if value != value else value for value in TABLE[name]] for name in TABLE})
TABLES = {
    "polars": POLARS,
    "polars, lazy": POLARS.lazy(),
    "narwhals": narwhals.from_native(POLARS),
    "a stream": Stream(POLARS),
    "a stream of nanoarrow": nanoarrow.ArrayStream(POLARS).read_all(),
}


def assert_alike(x: Interactions, y: Interactions = X) -> None:
    """The same, in the same order; a text that is missing is NaN in one library and None in another."""
    pd.testing.assert_frame_equal(x.to_frame().fillna("-"), y.to_frame().fillna("-"))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_another_library_is_read_alike(name):
    assert_alike(Interactions.from_frame(TABLES[name]))


def test_pyarrow_too():
    assert_alike(Interactions.from_frame(pytest.importorskip("pyarrow").Table.from_pandas(TABLE)))


def test_a_stream_of_several_batches_is_read_in_order():
    many = pl.concat([POLARS[:1], POLARS[1:3], POLARS[3:]], rechunk=False)
    assert many.n_chunks() == 3
    assert_alike(Interactions.from_frame(Stream(many)))


@pytest.mark.parametrize("wrap", [Stream, lambda table: table], ids=["stream", "polars"])
def test_times_and_missing_numbers(wrap):
    timed = POLARS.with_columns(pl.from_epoch("timestamp"), score=pl.Series([1.5, None, 2.5, None]))
    x = Interactions.from_frame(wrap(timed))
    assert x.timestamps.tolist() == [40, 10, 20, 30]
    np.testing.assert_array_equal(np.asarray(x.extra["score"], float), [1.5, np.nan, 2.5, np.nan])
    assert x.extra["event"][[0, 2, 3]].tolist() == ["click", "buy", "click"] and pd.isna(x.extra["event"][1])


def test_names_of_columns_and_what_is_wrong_in_them():
    renamed = POLARS.rename({"user": "who", "item": "what"})
    assert_alike(Interactions.from_frame(renamed, user="who", item="what"))
    for wrap in (Stream, lambda table: table):
        refuses(lambda wrap=wrap: Interactions.from_frame(wrap(renamed)), ValueError, ("user", "who"))
        refuses(lambda wrap=wrap: Interactions.from_frame(wrap(POLARS[:0])), ValueError, ("empty",))
        gap = POLARS.with_columns(rating=pl.Series([5.0, None, 4.0, 1.0]))
        refuses(
            lambda wrap=wrap, gap=gap: Interactions.from_frame(wrap(gap)), ValueError, ("rating", "row 1")
        )
        gap = POLARS.with_columns(user=pl.Series(["Ann", None, "Ann", "Cem"]))
        refuses(lambda wrap=wrap, gap=gap: Interactions.from_frame(wrap(gap)), ValueError, ("user", "row 1"))


@pytest.mark.parametrize(
    "data",
    [[1, 2], {"user": [1], "item": [2]}, "ratings.csv", None, nanoarrow.c_array([1, 2], nanoarrow.int64())],
)
def test_what_is_no_table_is_named(data):
    with pytest.raises(TypeError, match="`df`"):
        Interactions.from_frame(data)


def test_a_stream_of_columns_without_rows_and_one_that_fails():
    numbers = pl.Series("n", [1, 2])
    refuses(lambda: Interactions.from_frame(Stream(numbers)), TypeError, ("`df`", "named columns"))
    with pytest.raises(RuntimeError, match="query failed"):
        Interactions.from_frame(ColdStream())


def test_texts_in_views_are_read_by_pyarrow():
    pa = pytest.importorskip("pyarrow")
    columns = {name: TABLE[name].tolist() for name in TABLE if name != "event"}
    viewed = pa.table(columns | {"user": pa.array(columns["user"], pa.string_view())})
    assert Interactions.from_frame(Stream(viewed)).users.tolist() == columns["user"]


def test_what_a_stream_would_lose_is_refused():
    timed = POLARS.with_columns(pl.Series("timestamp", [1, 2, 3, 4]).cast(pl.Datetime("ns"))).to_arrow()
    timed = timed.set_column(0, "user", timed["user"].cast("string")).drop(["event"])
    refuses(
        lambda: Interactions.from_frame(Stream(timed)),
        ValueError,
        ("column `timestamp`", "without loss", "micro"),
    )


def test_true_and_false_are_ratings_and_dates_go_back():
    x = Interactions.from_frame(
        POLARS.with_columns(rating=pl.Series([True, False, True, True]), day=pl.date(2024, 3, 1))
    )
    assert x.ratings.tolist() == [1, 0, 1, 1]
    assert x.to_frame("polars")["day"].dt.to_string("%Y-%m-%d").to_list() == ["2024-03-01"] * 4


def test_models_and_evaluation_take_what_from_frame_takes():
    assert_alike(as_interactions(POLARS))
    expected = evaluate(Popularity().fit(X), X, ["ndcg@2"], candidates=[10, 20, 30])
    for table in (TABLE, POLARS, Stream(POLARS)):
        model = Popularity().fit(table)
        assert evaluate(model, table, ["ndcg@2"], candidates=[10, 20, 30]) == expected


def test_so_do_splits_and_cleaning():
    for table in (TABLE, POLARS):
        for mine, expected in (
            (splits.random_split(table, 0.5, seed=3), splits.random_split(X, 0.5, seed=3)),
            (splits.temporal_split(table, test_size=0.5), splits.temporal_split(X, test_size=0.5)),
            ([preprocessing.k_core(table, user=2, item=1)], [preprocessing.k_core(X, user=2, item=1)]),
            ([preprocessing.deduplicate(table)], [preprocessing.deduplicate(X)]),
        ):
            for one, other in zip(mine, expected, strict=True):
                assert_alike(one, other)


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_a_table_is_given_back(backend):
    if backend == "pyarrow":
        pytest.importorskip("pyarrow")
    table = X.to_frame(backend=backend)
    assert type(table).__module__.startswith(
        {"pandas": "pandas", "polars": "polars", "pyarrow": "pyarrow"}[backend]
    )
    assert_alike(Interactions.from_frame(table))


def test_of_an_unknown_library():
    refuses(lambda: X.to_frame(backend="excel"), ValueError, ("excel", "polars"))


# ---------------------------------------------------------------- sparse matrices


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix])
def test_a_sparse_matrix_is_read_row_by_row(kind):
    dense = np.array([[0, 5, 3.0], [0, 0, 0], [1, 0, 2]])
    x = Interactions.from_csr(kind(dense), users=["Ann", "Bob", "Cem"])
    assert x.users.tolist() == ["Ann", "Ann", "Cem", "Cem"] and x.items.tolist() == [1, 2, 0, 2]
    assert x.ratings.tolist() == [5, 3, 1, 2] and x.timestamps is None
    # Bob met nothing, so that he is nobody here.
    assert x.to_csr().toarray().tolist() == [[5, 3, 0], [0, 2, 1]]


def test_a_rating_of_zero_is_one():
    matrix = sparse.csr_array((np.array([0.0, 2.0]), (np.array([0, 1]), np.array([1, 0]))), shape=(2, 2))
    x = Interactions.from_csr(matrix)
    assert x.ratings.tolist() == [0, 2] and x.to_csr().nnz == 2


def test_there_and_back():
    matrix = X.to_csr()
    assert matrix.shape == (3, 3) and matrix.dtype == np.float64
    back = Interactions.from_csr(matrix, X.user_ids, X.item_ids)

    def sort(x):
        return x.to_frame()[["user", "item", "rating"]].sort_values(["user", "item"]).reset_index(drop=True)

    pd.testing.assert_frame_equal(sort(back), sort(X))


def test_ones_count_a_pair_once():
    x = Interactions.from_frame(pd.concat([TABLE, TABLE[:1]]), on_duplicate="keep")
    assert x.to_csr("ones").toarray().tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    refuses(lambda: x.to_csr(), ValueError, ("row 4", "'Ann'", "30", "ones"))
    bare = Interactions.from_frame(TABLE[["user", "item"]])
    refuses(lambda: bare.to_csr(), ValueError, ("no ratings", "ones"))
    refuses(lambda: X.to_csr("stars"), ValueError, ("'stars'", "ratings"))


def test_what_is_no_matrix_of_ratings():
    for bad in (sparse.coo_array(np.ones(3)), sparse.csr_array(np.eye(2) * 1j)):
        refuses(lambda bad=bad: Interactions.from_csr(bad), TypeError, ("users × items", "real numbers"))
    one_id = lambda: Interactions.from_csr(sparse.csr_array(np.eye(2)), users=["a", "a"])  # noqa: E731
    refuses(one_id, ValueError, ("`users` has 'a' twice",))
    refuses(lambda: Interactions.from_csr(np.eye(2)), TypeError, ("`matrix`", "csr_array"))
    twice = sparse.coo_array((np.ones(2), (np.array([0, 0]), np.array([1, 1]))), shape=(2, 2))
    refuses(lambda: Interactions.from_csr(twice), ValueError, ("`matrix`", "twice", "sum_duplicates"))
    refuses(
        lambda: Interactions.from_csr(sparse.csr_array(np.eye(2)), users=["Ann"]),
        ValueError,
        ("`users` has 1 ids",),
    )
    refuses(
        lambda: Interactions.from_csr(sparse.csr_array(np.eye(2)), items=[1, None]),
        ValueError,
        ("items", "row 1"),
    )
    refuses(
        lambda: Interactions.from_csr(sparse.csr_array(np.eye(2)) * np.nan), ValueError, ("ratings", "row 0")
    )


# ---------------------------------------------------------------- files


def test_text_files(tmp_path):
    TABLE.to_csv(tmp_path / "r.tsv", sep="\t", index=False)
    x = Interactions.from_csv(tmp_path / "r.tsv", separator="\t")
    assert_alike(x)
    renamed = TABLE.rename(columns={"user": "who"}).drop(columns="event")
    renamed.to_csv(tmp_path / "r.csv", index=False)
    assert Interactions.from_csv(tmp_path / "r.csv", user="who", timestamp=None).timestamps is None
    refuses(lambda: Interactions.from_csv(tmp_path / "r.csv"), ValueError, ("user", "who"))


@pytest.mark.parametrize(
    ("text", "users"),
    [
        ("user,item\n007,1\n7,2\n", ["007", "7"]),
        ('user,item\n"007",1\n', ["007"]),
        ("user,item\nNA,1\nnull,2\n", ["NA", "null"]),
        ("user,item\n1e5,1\n2,1\n", ["1e5", "2"]),
        ("user,item\ntrue,1\n", ["true"]),
        ("user,item\n12,1\n-3,1\n", [12, -3]),
        ("user,item\n123456789012345678901,1\n", ["123456789012345678901"]),
    ],
)
def test_ids_of_a_text_file_are_as_they_are_written(text, users, tmp_path):
    (tmp_path / "r.csv").write_text(text)
    assert Interactions.from_csv(tmp_path / "r.csv").users.tolist() == users
    as_text = Interactions.from_csv(tmp_path / "r.csv", text_ids=True)
    assert as_text.users.tolist() == [str(user) for user in users]


def test_ratings_and_further_columns_of_a_text_file(tmp_path):
    (tmp_path / "r.csv").write_text("user::item::rating::event\na::1::3.5::\nb::2::4::x\n")
    x = Interactions.from_csv(tmp_path / "r.csv", separator="::")
    assert x.ratings.tolist() == [3.5, 4] and x.extra["event"][1] == "x" and pd.isna(x.extra["event"][0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "user,item,rating\n1,2,5,881250949\n3,4,4,881250950\n",
            ("no table of columns parted by ','", "separator"),
        ),
        ("", ("no table",)),
        ("user;item\n1;2\n", ("'user'", "user;item")),
        ("user,item\n,2\n", ("column `user`, row 0", "missing")),
        ("user,item\n1\n", ("column `item`, row 0", "missing")),
        ("user,item,rating\n1,2,\n", ("column `rating`, row 0",)),
    ],
)
def test_text_files_that_are_no_tables(text, words, tmp_path):
    (tmp_path / "r.csv").write_text(text)
    refuses(lambda: Interactions.from_csv(tmp_path / "r.csv"), ValueError, words)


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    TABLE.to_parquet(tmp_path / "r.parquet")
    assert_alike(Interactions.from_parquet(tmp_path / "r.parquet"))


def test_without_pyarrow_parquet_says_what_to_install(tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else there(name))
    refuses(lambda: Interactions.from_parquet(tmp_path / "r.parquet"), ImportError, ("recbook[parquet]",))


def test_the_package_needs_neither_polars_nor_pyarrow():
    code = (
        "import sys; sys.modules['polars'] = sys.modules['pyarrow'] = None\n"
        "import pandas as pd\n"
        "from recbook import Interactions\n"
        "x = Interactions.from_frame(pd.DataFrame({'user': ['a'], 'item': ['b']}))\n"
        "try: x.to_frame(backend='polars')\n"
        "except ImportError as error: print(len(x), error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "1 `backend='polars'` is not installed: pip install polars\n", run.stderr
