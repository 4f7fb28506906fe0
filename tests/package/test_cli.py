"""The command line, on a file whose columns have names of their own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import recbook
from recbook import cli, splits
from recbook.evaluation import cross_validate, evaluate
from recbook.interactions import Interactions
from recbook.numpy.introduction import Popularity

COLUMNS = ["--user", "customer", "--item", "film", "--rating", "stars", "--timestamp", "when"]
BARE = COLUMNS[:4]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 900
    many = {
        "film": (rng.integers(0, 50, n) * rng.random(n)).astype(int),
        "when": rng.integers(1, 10**9, n),
        "customer": [f"c{user}" for user in rng.integers(0, 30, n)],
        "stars": rng.integers(1, 6, n),
    }
    return pd.DataFrame(many).drop_duplicates(["customer", "film"])


@pytest.fixture
def ratings(table, tmp_path):
    path = tmp_path / "ratings.csv"
    table.to_csv(path, index=False)
    return path


def read(table: pd.DataFrame) -> Interactions:
    return Interactions.from_frame(table, user="customer", item="film", rating="stars", timestamp="when")


def out_of(capsys) -> pd.DataFrame:
    return pd.read_csv(pd.io.common.StringIO(capsys.readouterr().out))


def test_a_model_is_fitted_written_and_asked(ratings, table, tmp_path, capsys):
    saved = tmp_path / "popular.npz"
    fitted = ["fit", ratings, "--model", "Popularity", *COLUMNS, "--out", saved]
    assert cli.main(list(map(str, fitted))) == 0
    capsys.readouterr()
    assert cli.main(["recommend", str(saved), "--for", "c3", "--for", "c1", "-k", "4"]) == 0
    expected = Popularity().fit(read(table)).recommend(["c3", "c1"], k=4)
    pd.testing.assert_frame_equal(out_of(capsys), expected, check_dtype=False)
    # Everybody, to a file; and what they met, too.
    lists = tmp_path / "lists.csv"
    assert cli.main(["recommend", str(saved), "-k", "2", "--seen-too", "--out", str(lists)]) == 0
    found = pd.read_csv(lists)
    assert found.user.nunique() == table.customer.nunique() and set(found.groupby("user").item.first()) == {
        table.film.value_counts().idxmax()
    }


def test_numbers_as_ids_and_arguments_of_the_model(ratings, table, tmp_path, capsys):
    saved = tmp_path / "random.npz"
    turned = ["--user", "film", "--item", "customer", "--rating", "stars"]
    assert (
        cli.main(["fit", str(ratings), "--model", "Random", "--set", "seed=7", *turned, "--out", str(saved)])
        == 0
    )
    model = recbook.load(saved)
    assert model.seed == 7 and model.rating_range_ == (1, 5)
    capsys.readouterr()
    user = int(table.film.iloc[0])
    assert cli.main(["recommend", str(saved), "--for", str(user), "-k", "1"]) == 0
    assert out_of(capsys).item[0] == model.recommend([user], k=1).item[0]


def test_a_model_may_forget(ratings, tmp_path):
    saved = tmp_path / "p.npz"
    assert (
        cli.main(["fit", str(ratings), "--model", "Popularity", *BARE, "--out", str(saved), "--forget"]) == 0
    )
    with pytest.raises(recbook.errors.NotSupportedError, match="history"):
        recbook.load(saved).recommend(["c1"])


def test_models_side_by_side_on_a_part_and_on_folds(ratings, table, tmp_path, capsys):
    asked = ["evaluate", str(ratings), *COLUMNS, "--model", "Popularity", "--model", "Random", "--seed", "5"]
    asked += ["--metric", "ndcg@5", "--metric", "recall@5"]
    assert cli.main([*asked, "--test-size", "0.3"]) == 0
    train, test = splits.random_split(read(table), 0.3, seed=5)
    by_hand = evaluate(Popularity().fit(train), test, ["ndcg@5", "recall@5"])
    found = out_of(capsys).set_index("model")
    assert list(found.index) == ["Popularity", "Random"]
    assert found.loc["Popularity"].to_dict() == pytest.approx(dict(by_hand))

    assert cli.main([*asked, "--folds", "3", "--out", str(tmp_path / "folds.csv")]) == 0
    found = pd.read_csv(tmp_path / "folds.csv", index_col=["model", "fold"])
    by_hand = cross_validate(Popularity(), read(table), 3, ["ndcg@5", "recall@5"], seed=5, progress=False)
    assert found.loc[("Popularity", "mean"), "recall@5"] == pytest.approx(by_hand.loc["mean", "recall@5"])


def test_a_fitted_model_is_measured_on_a_file_of_later_rows(table, tmp_path, capsys):
    first, later = tmp_path / "first.csv", tmp_path / "later.csv"
    table[:300].to_csv(first, index=False)
    table[300:].to_csv(later, index=False)
    saved = tmp_path / "p.npz"
    assert cli.main(["fit", str(first), "--model", "Popularity", *BARE, "--out", str(saved)]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", str(later), *BARE, "--saved", str(saved)]) == 0
    expected = evaluate(Popularity().fit(read(table[:300])), read(table[300:]), ["ndcg@10"])
    assert out_of(capsys)["ndcg@10"][0] == pytest.approx(expected["ndcg@10"])


def test_other_separators_and_parquet(table, tmp_path, capsys):
    paths = [tmp_path / "r.tsv", tmp_path / "r.parquet"]
    table.to_csv(paths[0], index=False, sep=";")
    pytest.importorskip("pyarrow")
    table.to_parquet(paths[1])
    found = []
    for path, further in zip(paths, (["--separator", ";"], []), strict=True):
        assert cli.main(["evaluate", str(path), *COLUMNS, *further, "--model", "Popularity"]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]


def test_a_dirty_table_is_cleaned_and_then_fitted(table, tmp_path, capsys):
    dirty = table.astype(object)
    dirty["when"] = pd.to_datetime(table.when, unit="s").dt.strftime("%Y-%m-%dT%H:%M:%S")
    dirty.iloc[3, dirty.columns.get_loc("stars")] = 11
    dirty.iloc[7, dirty.columns.get_loc("customer")] = None
    path, clean, saved = tmp_path / "dirty.csv", tmp_path / "clean.csv", tmp_path / "popular.npz"
    dirty.to_csv(path, index=False)
    fit = ["--model", "Popularity", *COLUMNS, "--scale", "1", "5", "--out", saved]
    assert cli.main(list(map(str, ["fit", path, *fit]))) == 1
    said = capsys.readouterr().err
    assert "3 faults" in said and "row 3" in said and "row 7" in said and "to_datetime" in said
    asked = ["clean", path, *COLUMNS, "--scale", "1", "5", "--out", clean]
    assert cli.main(list(map(str, asked))) == 0
    said = capsys.readouterr().err
    assert (
        "1 × stars above 5.0: labels 5" in said and "1 × customer missing: labels 9" in said
    )  # lines of the file
    assert cli.main(list(map(str, ["fit", clean, *fit]))) == 0
    left = table.drop(index=table.index[[3, 7]])
    found = Interactions.from_csv(clean, user="customer", item="film", rating="stars", timestamp="when")
    pd.testing.assert_frame_equal(found.to_frame(), read(left).to_frame())
    assert cli.main(["clean", str(tmp_path / "none.csv")]) == 1


def test_models_are_listed_with_what_they_can(capsys):
    assert cli.main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "task", "what", "it", "is", "can"]
    assert next(line for line in lines if line.startswith("Popularity ")).endswith("histories partial_fit")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["fit", "{r}", "--model", "Popularity", "--out", "x.npz"], ["`user='user'`", "customer"]),
        (["fit", "{r}", "--model", "Popular", *BARE, "--out", "x.npz"], ["no model 'Popular'", "Popularity"]),
        (["fit", "none.csv", "--model", "Popularity", "--out", "x.npz"], ["no file none.csv"]),
        (["fit", "{r}", "--model", "Random", "--set", "seed", *BARE, "--out", "x.npz"], ["NAME=VALUE"]),
        (["fit", "{r}", "--model", "Random", "--set", "seed=ten", *BARE, "--out", "x.npz"], ["`seed`", "'ten'"]),
        (["fit", "{r}", "--model", "Random", "--set", "sead=1", *BARE, "--out", "x.npz"], ["sead"]),
        (["recommend", "none.npz"], ["none.npz"]),
        (["recommend", "{r}"], ["ratings.csv"]),
        (["recommend", "{p}", "--for", "nobody"], ["nobody"]),
        (["recommend", "{p}", "-k", "0"], ["`k`"]),
        (["evaluate", "{r}", *BARE], ["--model NAME", "--saved"]),
        (["evaluate", "{r}", *BARE, "--model", "Random", "--metric", "luck@3"], ["luck"]),
        (["evaluate", "{r}", *BARE, "--model", "Random", "--folds", "1"], ["n_splits"]),
        (["evaluate", "{r}", *BARE, "--model", "Random", "--folds", "0"], ["n_splits"]),
        (["evaluate", "{r}", *BARE, "--model", "Random", "--model", "Random"], ["Random stands twice"]),
        (["evaluate", "{r}", *BARE, "--saved", "{p}", "--folds", "3"], ["leave out"]),
        (["fit", "{r}", "--model", "Random", *BARE, "--out", "{r}"], ["is what is read"]),
        (["recommend", "{p}", "--out", "{p}"], ["is what is read"]),
        (["fit", "{r}", "--model", "Random", *BARE, "--out", "nowhere/x.npz"], ["no folder", "nowhere"]),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_a_status(words, parts, ratings, table, tmp_path, capsys):
    saved = tmp_path / "p.npz"
    Popularity().fit(read(table)).save(saved)
    assert cli.main([word.format(r=ratings, p=saved) for word in words]) == 1
    said = capsys.readouterr().err
    listed = said.count("\n  ")  # the faults of a table, where there are several
    assert said.startswith("recbook: ") and said.count("\n") == 1 + listed
    assert all(part in said for part in parts), said
    assert not (tmp_path / "x.npz").exists()


def test_words_for_values(ratings, tmp_path):
    saved = tmp_path / "als.npz"
    asked = [
        "fit",
        ratings,
        "--model",
        "ALS",
        "--wing",
        "torch",
        "--set",
        "biased=false",
        "--set",
        "epochs=1",
        *COLUMNS,
    ]
    assert cli.main([*map(str, asked), "--out", str(saved)]) == 0
    assert recbook.load(saved).biased is False


def test_divergence_is_one_line(ratings, capsys, tmp_path):
    asked = [
        "fit",
        ratings,
        "--model",
        "MatrixFactorization",
        "--wing",
        "torch",
        "--set",
        "learning_rate=1e30",
    ]
    asked += ["--set", "optimizer=sgd", *COLUMNS, "--out", tmp_path / "x.npz"]
    assert cli.main(list(map(str, asked))) == 1
    assert capsys.readouterr().err.startswith("recbook: MatrixFactorization")


def test_a_reader_who_has_seen_enough_is_no_fault():
    command = [sys.executable, "-m", "recbook.cli", "models"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.close()
    said = run.stderr.read().decode()
    assert run.wait() == 1 and "Error" not in said and "recbook:" not in said, said


def test_it_is_a_program_of_its_own():
    run = subprocess.run([sys.executable, "-m", "recbook.cli", "--version"], capture_output=True, text=True)
    assert run.stdout == f"recbook {recbook.__version__}\n"
