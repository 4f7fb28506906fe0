"""`evaluate`: figures worked by hand on one small world, and the protocol that goes with them."""

import copy

import numpy as np
import pandas as pd
import pytest

from recbook import metrics as m
from recbook import splits
from recbook.errors import NotFittedError, NotSupportedError, UnknownIdError
from recbook.evaluation import Report, cross_validate, evaluate
from recbook.interactions import Dataset, Interactions
from recbook.numpy.introduction import BiasOnly, GlobalMean, Popularity, Random
from tests.helpers.bad_inputs import refuses

# Counts in train: a 3, b 2, c 2, d 1.
TRAIN = Interactions.from_frame(
    pd.DataFrame(
        [
            (1, "a", 5.0),
            (1, "b", 3.0),
            (2, "a", 4.0),
            (2, "c", 2.0),
            (3, "a", 4.0),
            (3, "b", 4.0),
            (3, "c", 1.0),
        ]
        + [(4, "d", 1.0)],
        columns=["user", "item", "rating"],
    )
)
# User 9 and item z are unknown; user 3 likes nothing in test.
TEST = Interactions.from_frame(
    pd.DataFrame(
        [(1, "c", 4.0), (1, "d", 2.0), (2, "b", 5.0), (2, "z", 4.0), (3, "d", 1.0), (9, "a", 5.0)],
        columns=["user", "item", "rating"],
    )
)
MEAN = 3.0  # of train


def popularity() -> Popularity:
    return Popularity().fit(TRAIN)


def mean() -> GlobalMean:
    return GlobalMean().fit(TRAIN)


# ---------------------------------------------------------------- ratings


def test_ratings_by_hand():
    # Errors 1, -1, 2, 1, -2, 2.
    report = evaluate(mean(), TEST, ["rmse", "mae", "mse"])
    assert report["mse"] == pytest.approx(15 / 6) and report["rmse"] == pytest.approx((15 / 6) ** 0.5)
    assert report["mae"] == pytest.approx(9 / 6)
    assert report.per_user.squared_error.to_dict() == pytest.approx({1: 1, 2: 2.5, 3: 4, 9: 4})
    assert report.per_user.n_pairs.to_dict() == {1: 2, 2: 2, 3: 1, 9: 1}
    assert report.protocol["unknown_pairs"] == 2 and report.protocol["pairs_left_out"] == 0


def test_unknown_nan_leaves_pairs_out_and_says_how_many():
    report = evaluate(mean(), TEST, ["mse"], unknown="nan")
    assert report["mse"] == pytest.approx((1 + 1 + 4 + 4) / 4)
    assert report.protocol["pairs_left_out"] == 2
    assert np.isnan(report.per_user.squared_error[9]) and report.per_user.squared_error[2] == 4
    with pytest.raises(UnknownIdError, match="unknown user 9"):
        evaluate(mean(), TEST, ["mse"], unknown="raise")
    with pytest.raises(UnknownIdError, match="unknown item 'z'"):
        evaluate(mean(), TEST.take(TEST.users != 9), ["ndcg@2"], unknown="raise")
    with pytest.raises(ValueError, match="no pair of `test` is known"):
        evaluate(mean(), TEST.take(TEST.users == 9), ["mse"], unknown="nan")


class Wild(GlobalMean):
    """Predicts 7 for the first item, -1 for others."""

    def _predict(self, users, items, histories, context):
        return np.where(items == 0, 7.0, -1.0)

    def _score_matrix(self, users, items, histories, context):
        return np.where(np.equal(items, 0), 7.0, -1.0) * np.ones((len(users), 1))


def test_clip():
    test = Interactions.from_frame(pd.DataFrame({"user": [4, 4], "item": ["a", "b"], "rating": [5.0, 3.0]}))
    model = Wild().fit(TRAIN)
    assert model.rating_range_ == (1, 5)
    found = {clip: evaluate(model, test, ["mae"], clip=clip) for clip in ("train", None, (0, 6))}
    assert {clip: report["mae"] for clip, report in found.items()} == {"train": 1.0, None: 3.0, (0, 6): 2.0}
    assert [report.protocol["clip"] for report in found.values()] == [(1, 5), None, (0, 6)]
    assert model.predict(4, "a") == 7  # the model itself never clips


# ---------------------------------------------------------------- lists


def test_lists_by_hand():
    """User 1 has c (2), d (1) to choose from, user 2 b (2), d (1); 9 is unknown, z cannot be reached."""
    report = evaluate(popularity(), TEST, ["precision@1", "recall@1", "recall_min@1", "hit_rate@1", "ndcg@2"])
    # Relevant to 1: c, d, both on top. To 2: b, z; b comes first, z is missed. To 3: d, the only candidate.
    two = 1 + 1 / np.log2(3)
    assert report.per_user["recall@1"].to_dict() == pytest.approx(
        {1: 0.5, 2: 0.5, 3: 1, 9: np.nan}, nan_ok=True
    )
    assert report.per_user["ndcg@2"].to_dict() == pytest.approx(
        {1: 1, 2: 1 / two, 3: 1, 9: np.nan}, nan_ok=True
    )
    assert report["precision@1"] == report["hit_rate@1"] == report["recall_min@1"] == 1
    assert report["recall@1"] == pytest.approx(2 / 3) and report["ndcg@2"] == pytest.approx((2 + 1 / two) / 3)
    wanted = {"ranked_users": 3, "users_unknown": 1, "users_without_relevant": 0}
    wanted |= {"relevant_pairs": 5, "relevant_out_of_reach": 1, "relevant": "all", "ties": "expected"}
    assert {name: report.protocol[name] for name in wanted} == wanted
    assert "squared_error" not in report.per_user and "clip" not in report.protocol


def test_unknown_nan_leaves_unknown_targets_out():
    report = evaluate(popularity(), TEST, ["recall@1"], unknown="nan")
    assert report.per_user["recall@1"][2] == 1 and report.protocol["relevant_out_of_reach"] == 0


def test_relevant_from_a_rating_on():
    report = evaluate(popularity(), TEST, ["recall@1"], relevant=4)
    # User 1: c alone. User 2: b and z. User 3 rated d 1: no relevant item.
    assert report.per_user["recall@1"].to_dict() == pytest.approx(
        {1: 1, 2: 0.5, 3: np.nan, 9: np.nan}, nan_ok=True
    )
    assert report["recall@1"] == 0.75
    assert report.protocol["users_without_relevant"] == 1 and report.protocol["relevant"] == "rating >= 4"


def test_ties_are_expected_or_first():
    model = mean()  # everything ties: user 4 chooses from a, b, c
    test = Interactions.from_frame(pd.DataFrame({"user": [4], "item": ["a"]}))
    assert evaluate(model, test, ["hit_rate@1"])["hit_rate@1"] == pytest.approx(1 / 3)
    assert evaluate(model, test, ["hit_rate@1"], ties="first")["hit_rate@1"] == 1
    assert evaluate(model, test, ["hit_rate@1"], ties="first").protocol["ties"] == "first"


def test_candidates_as_a_list_less_those_met():
    # User 1 met a and b; of a and d only d is left. User 2 likewise; b and z are out of reach.
    report = evaluate(popularity(), TEST, ["recall@1"], candidates=["d", "a"])
    assert report.per_user["recall@1"].to_dict() == pytest.approx(
        {1: 0.5, 2: 0, 3: 1, 9: np.nan}, nan_ok=True
    )
    assert report.protocol["relevant_out_of_reach"] == 3  # c of user 1; b and z of user 2
    assert report.protocol["candidates"] == "2 items given, less those met in train"


def test_candidates_as_a_mapping_are_exactly_these():
    lists = {1: ["a", "c"], 2: ["b", "d", "new"], 3: ["d"], 9: ["a"]}
    report = evaluate(popularity(), TEST, ["recall@1", "hit_rate@2"], candidates=lists)
    # User 1 met a, which is offered all the same and wins with a count of 3.
    assert report.per_user["recall@1"].to_dict() == pytest.approx(
        {1: 0, 2: 0.5, 3: 1, 9: np.nan}, nan_ok=True
    )
    assert report["hit_rate@2"] == 1
    assert (
        report.protocol["candidates_unknown"] == 1 and report.protocol["candidates"] == "a list for each user"
    )
    with pytest.raises(UnknownIdError, match="unknown item 'new'"):
        evaluate(popularity(), TEST.take([0, 2]), ["recall@1"], candidates=lists, unknown="raise")
    nothing = {user: [] for user in (1, 2, 3)}
    assert evaluate(popularity(), TEST, ["hit_rate@2"], candidates=nothing)["hit_rate@2"] == 0


def test_histories_stand_for_train():
    test = Interactions.from_frame(pd.DataFrame({"user": ["x", "x", "y"], "item": ["b", "d", "a"]}))
    report = evaluate(popularity(), test, ["recall@1"], histories={"x": ["a", "c"]})
    assert report.per_user["recall@1"].to_dict() == pytest.approx({"x": 0.5, "y": np.nan}, nan_ok=True)
    assert report.protocol["users_unknown"] == 1 and "in the history" in report.protocol["candidates"]
    rated = Interactions.from_frame(pd.DataFrame({"user": ["x"], "item": ["a"], "rating": [5.0]}))
    rest = Interactions.from_frame(pd.DataFrame({"user": ["x"], "item": ["b"], "rating": [4.0]}))
    model = BiasOnly().fit(TRAIN)
    expected = abs(4 - model.predict("x", "b", histories=rated)[0])
    assert evaluate(model, rest, ["mae"], histories=rated)["mae"] == pytest.approx(expected)


def test_a_pair_that_stands_twice_is_one_target():
    twice = TEST.take([0, 0, 1])
    assert evaluate(popularity(), twice, ["recall@1"])["recall@1"] == 0.5
    unknown_twice = evaluate(popularity(), TEST.take([2, 3, 3]), ["recall@1"])
    assert unknown_twice["recall@1"] == 0.5 and unknown_twice.protocol["relevant_pairs"] == 2


@pytest.mark.parametrize("cells", [1, 7, 10**6])
def test_blocks_change_nothing_and_agree_with_the_whole_matrix(monkeypatch, cells):
    rng = np.random.default_rng(0)
    drawn = rng.choice(40 * 30, 700, replace=False)
    x = Interactions.from_frame(pd.DataFrame({"user": drawn // 30, "item": drawn % 30}))
    train, test = x.take(np.arange(450)), x.take(np.arange(450, 700))
    monkeypatch.setattr("recbook.core.blocks.CELLS", cells)
    for model in (Random().fit(train), Popularity().fit(train)):
        scores = pd.DataFrame(model.score_matrix(), model.user_ids_, model.item_ids_)
        for u, i in zip(train.users, train.items, strict=True):
            scores.loc[u, i] = -np.inf
        relevant = scores.isna()
        for u, i in zip(test.users, test.items, strict=True):
            relevant.loc[u, i] = True
        some = relevant.any(axis=1)
        scores, relevant = scores[some].to_numpy(), relevant[some].to_numpy()
        report = evaluate(model, test, ["ndcg@5", "hit_rate@5"])
        assert report["ndcg@5"] == pytest.approx(m.ndcg_at_k(scores, relevant, 5).mean())
        assert report["hit_rate@5"] == pytest.approx(m.hit_rate_at_k(scores, relevant, 5).mean())
        assert report.protocol["ranked_users"] == some.sum()


def test_never_scores_users_times_items_at_once(monkeypatch):
    asked = []
    whole = Popularity._score_matrix

    def spy(self, users, *more):
        asked.append(len(users))
        return whole(self, users, *more)

    monkeypatch.setattr(Popularity, "_score_matrix", spy)
    monkeypatch.setattr("recbook.core.blocks.CELLS", 8)
    evaluate(popularity(), TEST, ["ndcg@2"])
    assert asked == [2, 1]  # 8 pairs over 4 items: two users at a time


def test_evaluating_leaves_model_and_data_as_they_were():
    model = popularity()
    before = copy.deepcopy(model.get_parameters())
    evaluate(model, TEST, ["ndcg@2"])
    assert all(np.array_equal(before[name], values) for name, values in model.get_parameters().items())
    pd.testing.assert_frame_equal(model.recommend(), popularity().recommend())


def test_a_dataset_serves_as_test_data():
    assert evaluate(mean(), Dataset(TEST), ["mse"])["mse"] == pytest.approx(15 / 6)


# ---------------------------------------------------------------- labels, clicks


class Clicks(Popularity):
    """Probabilities of a click, planted by item."""

    task = "click"
    supports = frozenset({"context"})
    chances = {"a": 0.9, "b": 0.6, "c": 0.4, "d": 0.2}

    def _predict(self, users, items, histories, context):
        self.context = context
        return np.array([self.chances[self.item_ids_[i]] for i in items])


def clicks(*rows: tuple[int, str, int]) -> Interactions:
    return Interactions.from_frame(pd.DataFrame(rows, columns=["user", "item", "rating"]))


SHOWN = clicks((1, "a", 1), (1, "b", 0), (1, "c", 1), (2, "a", 0), (2, "d", 1), (3, "b", 1), (3, "d", 1))


def test_clicks_by_hand():
    names = ["auc", "gauc", "log_loss", "calibration_error", "accuracy", "precision", "recall", "f1"]
    report = evaluate(Clicks().fit(TRAIN), SHOWN, names)
    labels, p = [1, 0, 1, 0, 1, 1, 1], [0.9, 0.6, 0.4, 0.9, 0.2, 0.6, 0.2]
    # User 1: a above b, c below: ½, three pairs. User 2: 0, two pairs. User 3 clicked on everything.
    assert report["gauc"] == pytest.approx((3 * 0.5 + 2 * 0) / 5)
    assert report.protocol["users_of_one_class"] == 1
    assert report.per_user.gauc.to_dict() == pytest.approx({1: 0.5, 2: 0, 3: np.nan}, nan_ok=True)
    assert report["auc"] == m.auc(labels, p)
    assert report["log_loss"] == pytest.approx(m.log_loss(labels, p), rel=1e-6)
    weighted = report.per_user.log_loss @ report.per_user.n_measured / 7
    assert report["log_loss"] == pytest.approx(weighted)
    assert report["calibration_error"] == pytest.approx(m.calibration_error(labels, p), rel=1e-6)
    # From ½ on: a b a b predicted, of which two clicked; five were clicked.
    assert report["precision"] == 2 / 4 and report["recall"] == 2 / 5 and report["accuracy"] == 2 / 7
    assert report["f1"] == pytest.approx(2 * 2 / (4 + 5))
    assert report.per_user.accuracy.to_dict() == pytest.approx({1: 1 / 3, 2: 0, 3: 0.5})
    assert report.protocol["labels"] == "rating = 1"


def test_labels_of_ratings_and_no_clipping_of_order():
    test = TEST.take([0, 1, 3, 4])  # 4 2 4 1 of c, d, z, d
    model = Wild().fit(TRAIN)
    model._predict = lambda users, items, *more: 6.0 + items  # all of them above what is a rating
    model._prior = lambda users, items, *more: np.full(len(users), 5.5)
    report = evaluate(model, test, ["auc", "accuracy", "rmse"], relevant=4)
    # Scores c 8, d 9, z 5.5, d 9: both relevant ones below both others. Clipped all would tie: ½.
    assert report["auc"] == 0 and report["accuracy"] == 0.5
    assert report.protocol["labels"] == "rating >= 4" and report.protocol["clip"] == (1, 5)
    assert report["rmse"] == pytest.approx(((1 + 9 + 1 + 16) / 4) ** 0.5)
    assert evaluate(popularity(), test, ["auc"], relevant=4)["auc"] == pytest.approx(
        m.auc([1, 0, 1, 0], [2, 1, 0, 1])
    )


def test_pairs_left_out_are_left_out_of_all_measures_of_pairs():
    report = evaluate(mean(), TEST, ["auc", "gauc", "mae"], relevant=4, unknown="nan")
    assert report.protocol["pairs_left_out"] == 2
    assert report.per_user.n_measured.to_dict() == {1: 2, 2: 1, 3: 1, 9: 0}
    assert report["gauc"] == 0.5 and report.protocol["users_of_one_class"] == 2
    assert report.per_user.absolute_error.to_dict() == pytest.approx(
        {1: 1, 2: 2, 3: 2, 9: np.nan}, nan_ok=True
    )


def test_context_reaches_the_model_row_by_row():
    model = Clicks().fit(TRAIN)
    context = pd.DataFrame({"hour": np.arange(7)})
    report = evaluate(model, SHOWN, ["auc"], context=context)
    assert model.context.hour.tolist() == list(range(7)) and report.protocol["context"] == "hour"
    with pytest.raises(NotSupportedError, match="ndcg@2: `context` has a row for each pair"):
        evaluate(model, SHOWN, ["auc", "ndcg@2"], context=context)
    with pytest.raises(NotSupportedError, match="GlobalMean does not support `context`"):
        evaluate(mean(), TEST, ["mae"], context=context)
    with pytest.raises(ValueError, match="`context` has 6 rows for 7 pairs"):
        evaluate(model, SHOWN, ["auc"], context=context[:6])


# ---------------------------------------------------------------- what lists do to the catalogue


def test_catalogue_by_hand():
    """Lists of one: user 1 has c of c, d; user 2 b of b, d; user 3 d of d alone. a is offered to nobody."""
    names = ["coverage@1", "gini@1", "novelty@1", "mrr@2", "map@1", "map_min@1", "f1@2", "accuracy@1"]
    report = evaluate(popularity(), TEST, names)
    assert report.protocol["catalogue"] == 3
    assert report["coverage@1"] == 1 and report["gini@1"] == pytest.approx(0, abs=1e-12)
    # Met by 2, 2 and 1 of the 4 users of train.
    assert report.per_user["novelty@1"].to_dict() == pytest.approx({1: 1, 2: 1, 3: 2, 9: np.nan}, nan_ok=True)
    assert report.protocol["users_without_novelty"] == 0
    # Relevant: c, d to 1; b, z to 2, z out of reach; d to 3.
    assert report["mrr@2"] == 1 and report["map_min@1"] == 1 and report["map@1"] == pytest.approx(2 / 3)
    # f1@2: 2·2/4, 2·1/4, 2·1/3. accuracy@1: one wrong of 2, one wrong of 3, none of 1.
    assert report["f1@2"] == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
    assert report["accuracy@1"] == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    rare = evaluate(mean(), TEST, ["coverage@1", "gini@1", "novelty@1"], ties="first")
    # First of those unmet: c, b, d.
    assert rare["coverage@1"] == 1
    some = evaluate(popularity(), TEST, ["coverage@1", "gini@1"], candidates=["d", "b"])
    # User 1: d. User 2: b. User 3: d.
    assert some["coverage@1"] == 1 and some["gini@1"] == pytest.approx(1 / 6)


GENRES = pd.DataFrame({"war": [1, 0, 1, 0], "love": [0, 1, 1, 0]}, index=["d", "b", "c", "a"])


def test_diversity_leaves_short_lists_out():
    report = evaluate(popularity(), TEST, ["diversity@2"], features=GENRES)
    # User 1: c and d, alike by √½. User 2: b and d, not alike. User 3: d alone, no couple.
    alike = 0.5**0.5
    assert report.per_user["diversity@2"].to_dict() == pytest.approx(
        {1: 1 - alike, 2: 1, 3: np.nan, 9: np.nan}, nan_ok=True
    )
    assert report["diversity@2"] == pytest.approx(1 - alike / 2)
    assert report.protocol["users_without_diversity"] == 1


@pytest.mark.parametrize("cells", [1, 7, 10**6])
def test_catalogue_does_not_hang_on_blocks_or_the_order_of_measures(monkeypatch, cells):
    rng = np.random.default_rng(0)
    drawn = rng.choice(40 * 30, 700, replace=False)
    x = Interactions.from_frame(pd.DataFrame({"user": drawn // 30, "item": drawn % 30}))
    train, test = x.take(np.arange(450)), x.take(np.arange(450, 700))
    monkeypatch.setattr("recbook.core.blocks.CELLS", cells)
    model = Popularity().fit(train)  # many ties
    scores = pd.DataFrame(model.score_matrix(), model.user_ids_, model.item_ids_)
    for u, i in zip(train.users, train.items, strict=True):
        scores.loc[u, i] = -np.inf
    scores = scores.loc[np.isin(scores.index, test.users)].to_numpy()
    shares = np.bincount(train.item_codes) / train.n_users
    names = ["ndcg@3", "coverage@5", "gini@5", "novelty@5", "coverage@2", "hit_rate@5"]
    report = evaluate(model, test, names)
    assert report["coverage@5"] == pytest.approx(m.coverage_at_k(scores, 5))
    assert report["coverage@2"] == pytest.approx(m.coverage_at_k(scores, 2))
    assert report["gini@5"] == pytest.approx(m.gini_at_k(scores, 5))
    assert report["novelty@5"] == pytest.approx(m.novelty_at_k(scores, 5, shares).mean())
    for name in names:  # alone, each is what it is in company
        assert evaluate(model, test, [name])[name] == pytest.approx(report[name], rel=1e-12)


def test_histories_are_turned_into_codes_once(monkeypatch):
    calls = []
    whole = BiasOnly._code_histories
    monkeypatch.setattr(
        BiasOnly, "_code_histories", lambda self, *asked: calls.append(1) or whole(self, *asked)
    )
    monkeypatch.setattr("recbook.core.blocks.CELLS", 4)
    model = BiasOnly().fit(TRAIN)
    people = {f"p{n}": ["a"] for n in range(6)}
    test = Interactions.from_frame(pd.DataFrame({"user": list(people), "item": ["b"] * 6}))
    report = evaluate(model, test, ["ndcg@2"], histories=people)
    assert report.protocol["ranked_users"] == 6 and len(calls) == 1


def test_unknown_items_of_histories_are_an_error_or_ignored():
    model = BiasOnly().fit(TRAIN)
    test = Interactions.from_frame(
        pd.DataFrame({"user": ["p", "q"], "item": ["b", "z"], "rating": [4.0, 2.0]})
    )
    mixed, known = {"p": ["a", "z"], "q": ["c"]}, {"p": ["a"], "q": ["c"]}
    for unknown in ("fallback", "nan", "raise"):
        refuses(
            lambda u=unknown: evaluate(model, test, ["rmse"], histories=mixed, unknown=u),
            UnknownIdError,
            ("'z'",),
        )
    found = evaluate(model, test, ["rmse", "ndcg@2"], histories=mixed, unknown="ignore")
    assert dict(found) == dict(evaluate(model, test, ["rmse", "ndcg@2"], histories=known))
    assert found.protocol["unknown"] == "ignore" and found.protocol["unknown_pairs"] == 1
    several = evaluate({"one": model}, test, ["rmse"], histories=mixed, unknown="ignore")
    assert several.loc["one", "rmse"] == found["rmse"]
    with pytest.warns(UserWarning, match="1 of 2 people in `histories` have met nothing that BiasOnly knows"):
        evaluate(model, test, ["rmse"], histories={"p": ["z"], "q": ["c"]}, unknown="ignore")


# ---------------------------------------------------------------- the report


def test_report_is_a_mapping_in_the_order_asked():
    report = evaluate(mean(), TEST, ["ndcg@2", "rmse", "hit_rate@1"])
    assert (
        isinstance(report, Report) and list(report) == ["ndcg@2", "rmse", "hit_rate@1"] and len(report) == 3
    )
    assert (
        dict(report) == {name: report[name] for name in report} and list(report.values())[1] == report["rmse"]
    )
    assert all(type(value) is float for value in report.values())
    assert report.per_user.index.tolist() == [1, 2, 3, 9] and report.per_user.index.name == "user"
    assert list(report.per_user) == [
        "n_pairs",
        "n_measured",
        "squared_error",
        "absolute_error",
        "ndcg@2",
        "hit_rate@1",
    ]
    with pytest.raises(KeyError, match="'mae' was not measured.*rmse"):
        report["mae"]


def test_report_shows_figures_and_protocol():
    report = evaluate(BiasOnly(epochs=3).fit(TRAIN), TEST, ["rmse", "ndcg@2"])
    text = repr(report)
    assert text.startswith(f"Report: rmse {report['rmse']:.4f}  ndcg@2 {report['ndcg@2']:.4f}\n")
    for line in ("model: BiasOnly(epochs=3)", "clip: (1.0, 5.0)", "unknown_pairs: 2", "ties: expected"):
        assert f"  {line}" in text.split("\n")
    page = report._repr_html_()
    assert "<th>ndcg@2</th>" in page and f"<td>{report['rmse']:.4f}</td>" in page and "users_unknown" in page
    unsafe = Report({"<b>": 1.0}, report.per_user, {"model": "<script>"})._repr_html_()
    assert "<script>" not in unsafe and "&lt;script&gt;" in unsafe and "<b>" not in unsafe


# ---------------------------------------------------------------- what is refused

UNRATED = Interactions.from_frame(TEST.to_frame()[["user", "item"]])


class Nan(Popularity):
    def _score_matrix(self, users, items, histories, context):
        return np.full((len(users), len(items)), np.nan)


class NanRatings(GlobalMean):
    def _predict(self, users, items, histories, context):
        return np.full(len(users), np.nan)


def with_users_as_text() -> Interactions:
    df = TEST.to_frame()
    return Interactions.from_frame(df.assign(user=df.user.astype(str)))


BAD = {
    "users of another kind": (
        lambda: evaluate(popularity(), with_users_as_text(), ["ndcg@2"], unknown="nan"),
        ValueError,
        ("column `user` holds strings, such as '1'", "on integers", "df['user'].astype(int)"),
    ),
    "items of another kind": (
        lambda: evaluate(mean(), Interactions([1], [7], [3.0])),
        ValueError,
        ("column `item` holds integers, such as 7", "on strings", "df['item'].astype(str)"),
    ),
    "no model": (lambda: evaluate("UserKNN", TEST), TypeError, ("`model`", "str")),
    "no fit": (lambda: evaluate(GlobalMean(), TEST), NotFittedError, ("GlobalMean", ".fit(train)")),
    "no data": (lambda: evaluate(mean(), TEST.to_frame().to_numpy()), TypeError, ("ndarray", "from_frame")),
    "empty": (lambda: evaluate(mean(), TEST.take([])), ValueError, ("`test` is empty",)),
    "unknown metric": (
        lambda: evaluate(mean(), TEST, ["rsme"]),
        ValueError,
        ("'rsme'", "rmse, mae", "ndcg@k"),
    ),
    "malformed k": (lambda: evaluate(mean(), TEST, ["ndcg@ten"]), ValueError, ("'ndcg@ten'", "ndcg@10")),
    "no k": (lambda: evaluate(mean(), TEST, ["ndcg"]), ValueError, ("'ndcg'", "ndcg@10")),
    "k of 0": (lambda: evaluate(mean(), TEST, ["recall@0"]), ValueError, ("'recall@0'", "recall@10")),
    "negative k": (lambda: evaluate(mean(), TEST, ["recall@-1"]), ValueError, ("'recall@-1'",)),
    "k of rmse": (lambda: evaluate(mean(), TEST, ["rmse@10"]), ValueError, ("'rmse@10'", "write 'rmse'")),
    "metrics text": (lambda: evaluate(mean(), TEST, "rmse"), TypeError, ("`metrics`", "['rmse'")),
    "no metrics": (lambda: evaluate(mean(), TEST, []), ValueError, ("`metrics` is empty", "rmse")),
    "rmse unrated": (
        lambda: evaluate(mean(), UNRATED, ["rmse"]),
        ValueError,
        ("rmse", "no ratings", "rating="),
    ),
    "rmse of a ranker": (
        lambda: evaluate(popularity(), TEST, ["rmse"]),
        NotSupportedError,
        ("rmse", "Popularity", "ranking", "ndcg@10"),
    ),
    "probabilities of ratings": (
        lambda: evaluate(mean(), TEST, ["log_loss"], relevant=4),
        NotSupportedError,
        ("log_loss", "GlobalMean", "not probabilities", "'auc'"),
    ),
    "labels of a ranker": (
        lambda: evaluate(popularity(), TEST, ["recall"], relevant=4),
        NotSupportedError,
        ("recall", "Popularity", "'recall@10'"),
    ),
    "labels without a limit": (
        lambda: evaluate(mean(), TEST, ["precision"]),
        ValueError,
        ("precision", "`relevant`", "'precision@10'"),
    ),
    "order without a limit": (
        lambda: evaluate(mean(), TEST, ["auc"]),
        ValueError,
        ("auc", "more than 0 and 1", "`relevant`"),
    ),
    "order of a bad limit": (
        lambda: evaluate(mean(), TEST, ["auc"], relevant=float("nan")),
        ValueError,
        ("`relevant` is nan",),
    ),
    "one class": (lambda: evaluate(mean(), TEST, ["auc"], relevant=0), ValueError, ("all True", "both")),
    "nothing predicted": (
        lambda: evaluate(mean(), TEST, ["precision"], relevant=4),
        ValueError,
        ("none of the 6", "0 / 0"),
    ),
    "catalogue of nothing": (
        lambda: evaluate(popularity(), TEST, ["coverage@2"], candidates={1: [], 2: [], 3: []}),
        ValueError,
        ("coverage@2", "no candidate"),
    ),
    "novelty of nothing": (
        lambda: evaluate(popularity(), TEST, ["novelty@2"], candidates={1: [], 2: [], 3: []}),
        ValueError,
        ("novelty@2", "nobody's list"),
    ),
    "diversity without features": (
        lambda: evaluate(popularity(), TEST, ["diversity@2"]),
        TypeError,
        ("diversity", "`features`", "get_dummies"),
    ),
    "features of few": (
        lambda: evaluate(popularity(), TEST, ["diversity@2"], features=GENRES[:2]),
        ValueError,
        ("`features`", "no row for item 'a'", "2 are missing"),
    ),
    "features twice": (
        lambda: evaluate(popularity(), TEST, ["diversity@2"], features=pd.concat([GENRES, GENRES])),
        ValueError,
        ("`features`", "twice"),
    ),
    "features of text": (
        lambda: evaluate(popularity(), TEST, ["diversity@2"], features=GENRES.astype(str)),
        ValueError,
        ("column 'war'", "get_dummies"),
    ),
    "unknown": (
        lambda: evaluate(mean(), TEST, unknown="skip"),
        ValueError,
        ("`unknown`", "'skip'", "fallback"),
    ),
    "ties": (lambda: evaluate(mean(), TEST, ties="best"), ValueError, ("`ties`", "'best'", "expected")),
    "clip word": (
        lambda: evaluate(mean(), TEST, clip="test"),
        ValueError,
        ("`clip`", "'test'", "(low, high)"),
    ),
    "clip upside down": (
        lambda: evaluate(mean(), TEST, clip=(5, 1)),
        ValueError,
        ("`clip`", "(5, 1)", "lower"),
    ),
    "relevant text": (
        lambda: evaluate(mean(), TEST, ["ndcg@2"], relevant="liked"),
        ValueError,
        ("`relevant`", "'liked'", "lowest rating"),
    ),
    "relevant unrated": (
        lambda: evaluate(popularity(), UNRATED, ["ndcg@2"], relevant=4),
        ValueError,
        ("relevant=4", "no ratings", "relevant=None"),
    ),
    "nothing relevant": (
        lambda: evaluate(popularity(), TEST, ["ndcg@2"], relevant=6),
        ValueError,
        ("no user of `test` is left", "1 unknown", "3 without a relevant item"),
    ),
    "nobody known": (
        lambda: evaluate(popularity(), TEST.take([5]), ["ndcg@2"]),
        ValueError,
        ("no user of `test` is left", "1 unknown"),
    ),
    "a user without candidates": (
        lambda: evaluate(popularity(), TEST, ["ndcg@2"], candidates={1: ["a"]}),
        ValueError,
        ("`candidates`", "no list for user 2"),
    ),
    "candidates of another kind": (
        lambda: evaluate(popularity(), TEST, ["ndcg@2"], candidates=["a", 3]),
        ValueError,
        ("`candidates`", "row 1"),
    ),
    "NaN scores": (
        lambda: evaluate(Nan().fit(TRAIN), TEST, ["ndcg@2"]),
        ValueError,
        ("Nan()", "NaN for user 1", "item 'a'"),
    ),
    "NaN ratings": (
        lambda: evaluate(NanRatings().fit(TRAIN), TEST, ["rmse"], unknown="nan"),
        ValueError,
        ("`predictions`, row 0", "nan"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(name):
    refuses(*BAD[name])


def test_without_its_history_a_model_needs_candidates(tmp_path):
    popularity().save(tmp_path / "m.npz", include_history=False)
    model = Popularity.load(tmp_path / "m.npz")
    with pytest.raises(NotSupportedError, match="without its history.*`candidates` as a mapping"):
        evaluate(model, TEST, ["ndcg@2"])
    lists = {1: ["c", "d"], 2: ["b", "d"], 3: ["d"]}
    with pytest.raises(NotSupportedError, match="novelty.*without its history"):
        evaluate(model, TEST, ["novelty@2"], candidates=lists)
    whole = evaluate(popularity(), TEST, ["ndcg@2"], candidates=lists)
    assert evaluate(model, TEST, ["ndcg@2"], candidates=lists)["ndcg@2"] == whole["ndcg@2"]
    assert evaluate(model, TEST, ["ndcg@2"], candidates=lists).protocol == whole.protocol


# ---------------------------------------------------------------- several models, several folds


def test_several_models_are_a_table():
    models = {"many": popularity(), "chance": Random(seed=1).fit(TRAIN)}
    table = evaluate(models, TEST, ["ndcg@2", "recall@1"], unknown="nan", ties="first")
    assert table.index.name == "model" and list(table.index) == ["many", "chance"]
    for name, model in models.items():
        alone = evaluate(model, TEST, ["ndcg@2", "recall@1"], unknown="nan", ties="first")
        assert table.loc[name].to_dict() == dict(alone)
    unnamed = evaluate([popularity(), popularity(), Random(seed=1).fit(TRAIN)], TEST, ["recall@1"])
    assert list(unnamed.index) == ["Popularity()", "Popularity() (2)", "Random(seed=1)"]


def test_cross_validation_is_a_fit_and_an_evaluation_a_fold():
    model = GlobalMean()
    table = cross_validate(model, TRAIN, 4, ["rmse", "mae"], seed=3, clip=None, progress=False)
    assert list(table.index) == [0, 1, 2, 3, "mean", "sd"] and list(table) == ["rmse", "mae", "seconds"]
    with pytest.raises(NotFittedError):
        model.predict(1, "a")  # what was given stays as it is
    folds = list(splits.k_fold(TRAIN, 4, seed=3))
    by_hand = [evaluate(GlobalMean().fit(train), test, ["rmse"], clip=None)["rmse"] for train, test in folds]
    assert table.rmse[:4].tolist() == by_hand
    assert table.rmse["mean"] == pytest.approx(np.mean(by_hand))
    assert table.rmse["sd"] == pytest.approx(np.std(by_hand, ddof=1))
    given = cross_validate(model, None, folds, ["rmse", "mae"], clip=None, progress=False)
    pd.testing.assert_frame_equal(given[["rmse", "mae"]], table[["rmse", "mae"]])


def test_cross_validation_of_several_models():
    table = cross_validate({"mean": GlobalMean(), "biases": BiasOnly()}, TRAIN, 3, ["rmse"], progress=False)
    assert table.index.names == ["model", "fold"] and len(table) == 2 * 5
    alone = cross_validate(BiasOnly(), TRAIN, 3, ["rmse"], progress=False)
    assert table.loc["biases"].rmse.tolist() == alone.rmse.tolist()


def test_candidates_that_can_be_read_once_serve_every_model():
    models = [popularity(), Random(seed=1).fit(TRAIN)]
    listed = evaluate(models, TEST, ["ndcg@2"], candidates=["a", "b", "d"])
    drawn = evaluate(models, TEST, ["ndcg@2"], candidates=(item for item in ["a", "b", "d"]))
    pd.testing.assert_frame_equal(drawn, listed)


BAD_MANY = {
    "two of one name": (lambda: evaluate({1: mean(), "1": mean()}, TEST), ValueError, ("written alike", "[1, '1']")),
    "folds of 3.0": (lambda: cross_validate(mean(), TRAIN, 3.0, progress=False), TypeError, ("`splits` is 3.0",)),
    "no models": (lambda: evaluate([], TEST), ValueError, ("`model` is empty",)),
    "one is none": (lambda: evaluate({"mine": "EASE"}, TEST), TypeError, ("mine", "str")),
    "one is not fitted": (lambda: evaluate([mean(), GlobalMean()], TEST, ["rmse"]), NotFittedError, ("GlobalMean",)),
    "no folds": (lambda: cross_validate(mean(), TRAIN, [], progress=False), ValueError, ("`splits` has no fold",)),
    "one fold": (lambda: cross_validate(mean(), TRAIN, 1, progress=False), ValueError, ("n_splits",)),
    "a fold of three": (
        lambda: cross_validate(mean(), TRAIN, [(TRAIN, TEST, TEST)], progress=False),
        ValueError,
        ("`splits`", "(train, test)"),
    ),
    "no model": (lambda: cross_validate(GlobalMean, TRAIN, progress=False), TypeError, ("`model`", "GlobalMean")),
    "no data": (lambda: cross_validate(GlobalMean(), None, 5, progress=False), TypeError, ("NoneType",)),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_MANY)
def test_refuses_of_many(name):
    refuses(*BAD_MANY[name])
