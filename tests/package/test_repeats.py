"""Pairs that stand more than once, and ids that are text: every model takes both as it says, in both wings."""

import importlib.util
import inspect
import warnings

import numpy as np
import pandas as pd
import pytest

import recbook.keras as rk
import recbook.torch as rt
from recbook.interactions import Interactions
from recbook.numpy.introduction import Popularity
from recbook.recommender import Recommender
from tests.helpers.bad_inputs import refuses


@pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
def test_models_of_ratings_refuse_a_pair_that_repeats(wing):
    rows = [(u, i, 1.0 + (u + i) % 5) for u in range(6) for i in range(6)]
    x = Interactions.from_frame(
        pd.DataFrame([*rows, (4, 5, 5.0)], columns=["user", "item", "rating"]), on_duplicate="keep"
    )
    refused = []
    for name, cls in inspect.getmembers(wing, lambda c: inspect.isclass(c) and issubclass(c, Recommender)):
        try:
            model = cls()
        except TypeError:
            continue  # a base that nobody makes
        if getattr(model, "task", None) == "rating" or name == "PureSVD":
            refused.append(name)
            parts = (name, "row 36", "user 4", "item 5", "on_duplicate='last' or 'mean'")
            refuses(lambda model=model: model.fit(x, progress=False), ValueError, parts)
    assert len(refused) > 10 and {"UserKNN", "PCA", "PureSVD", "FactorizationMachine", "NMF"} <= set(refused)


@pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
def test_a_pair_that_repeats_counts_as_its_model_says(wing):
    pairs = [(u, i) for u in range(8) for i in range(8) if (u * i + u + i) % 3]
    once = Interactions(*np.array(pairs).T)
    more = Interactions(*np.array([*pairs, *pairs[:9], *pairs[:9]]).T)
    binary = {
        "EASE": {"reg": 5.0},
        "ImplicitALS": {"factors": 2, "epochs": 2},
        "MultVAE": {"factors": 2, "hidden": 4, "epochs": 2},
        "CFGAN": {"epochs": 2},
    }
    for name, arguments in binary.items():
        a, b = (getattr(wing, name)(**arguments).fit(x, progress=False) for x in (once, more))
        np.testing.assert_allclose(a.score_matrix(), b.score_matrix(), rtol=1e-4, atol=1e-5, err_msg=name)
    counted = Popularity().fit(more).predict(0, pairs[0][1])
    expected = sum(i == pairs[0][1] for _, i in [*pairs, *pairs[:9], *pairs[:9]])
    assert counted.item() == expected
    svd = wing.PureSVD(factors=2).fit(Interactions(once.users, once.items, np.full(len(once), 5.0)))
    first = pairs[0][1]
    refuses(
        lambda: svd.recommend(histories={"n": [first, first]}), ValueError, (repr(first), "twice", "once")
    )


@pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
def test_text_ids_go_out_as_text_and_through_files_as_they_are(wing, tmp_path):
    ids = ["a", "a\0", "\0", "", "é", "x" * 3000, "\ud800"]
    rows = [(u, i) for n, u in enumerate(ids) for m, i in enumerate(ids) if (n + m) % 3]
    x = Interactions(*map(list, zip(*rows, strict=True)))
    model = wing.EASE(reg=1.0).fit(x)
    assert x.to_frame().user.tolist() == [u for u, _ in rows]
    # Beside pyarrow pandas keeps text as UTF-8, and the last id cannot be written so: then it is a column of objects.
    text = {pd.Series(["a"]).dtype} | ({np.dtype(object)} if importlib.util.find_spec("pyarrow") else set())
    table = model.recommend(k=2)
    assert {table["user"].dtype, table["item"].dtype} <= text
    assert set(table["user"]) == set(ids) and set(model.similar_items(["\ud800"], k=9).similar) < set(ids)
    nobody = model.recommend(users=[])
    assert {nobody["user"].dtype, nobody["item"].dtype} == {pd.Series(["a"]).dtype}
    path = tmp_path / "m.npz"
    model.save(path)
    again = type(model).load(path)
    assert again.item_ids_.tolist() == model.item_ids_.tolist() == list(dict.fromkeys(i for _, i in rows))
    np.testing.assert_array_equal(again.score_matrix(), model.score_matrix())
    assert path.stat().st_size < 20_000


def test_arrays_of_interactions_go_to_pytorch_without_a_warning():
    """They are read-only, and PyTorch warns of such, but once a process: hence the copies."""
    x = Interactions([1, 1, 2], [1, 2, 2], [0.0, 1.0, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rt.losses.squared(x.ratings, x.ratings)
        rt.losses.binary_cross_entropy(x.ratings, x.ratings)
        tensor = rt.EASE(device="cpu")._to_tensor(x.ratings)
    tensor += 1
    assert x.ratings.tolist() == [0, 1, 1] and tensor.tolist() == [1, 2, 2]
