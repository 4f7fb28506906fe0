"""Worlds whose truth is found again in what they draw."""

import numpy as np
import pandas as pd
import pytest

from recbook import metrics, worlds
from tests.helpers.work import work_of


@pytest.mark.parametrize(
    "make",
    [
        worlds.make_low_rank,
        worlds.make_biases,
        worlds.make_taste_groups,
        worlds.make_popularity,
        worlds.make_checkerboard,
        worlds.make_ctr,
    ],
)
@pytest.mark.parametrize("ids", ["int", "str"])
def test_worlds_repeat_and_list_everybody(make, ids):
    world, again = make(ids=ids), make(ids=ids)
    pd.testing.assert_frame_equal(world.data.interactions.to_frame(), again.data.interactions.to_frame())
    if make is not worlds.make_checkerboard:
        other = make(ids=ids, seed=1).data.interactions.to_frame()
        assert not other.equals(world.data.interactions.to_frame())
    x = world.data.interactions
    assert x.users.dtype.kind == x.items.dtype.kind == {"int": "i", "str": "O"}[ids]
    np.testing.assert_array_equal(world.data.users.index, world.user_ids)
    np.testing.assert_array_equal(world.data.items.index, world.item_ids)
    assert set(x.user_ids) <= set(world.user_ids) and set(x.item_ids) <= set(world.item_ids)
    assert world.user_ids[0] == {"int": 1, "str": "u1"}[ids]


def places(world):
    """Rows and columns of the truth that the interactions stand at."""
    x = world.data.interactions
    return pd.Index(world.user_ids).get_indexer(x.users), pd.Index(world.item_ids).get_indexer(x.items)


@pytest.mark.parametrize("make", [worlds.make_low_rank, worlds.make_biases, worlds.make_taste_groups])
def test_ratings_are_the_truth_plus_noise_of_the_stated_size(make):
    assert len(make(density=0.25).data) == round(0.25 * make().scores.size)
    exact = make(noise=0.0)
    np.testing.assert_array_equal(exact.data.interactions.ratings, exact.scores[places(exact)])
    noisy = make(n_users=300, n_items=200, noise=0.5)
    error = noisy.data.interactions.ratings - noisy.scores[places(noisy)]
    assert abs(error.mean()) < 0.02 and abs(error.std() - 0.5) < 0.02  # 18,000 draws: 5 standard errors


def test_low_rank_is_of_that_rank_and_that_variance():
    world = worlds.make_low_rank(n_users=2000, n_items=1500, rank=4)
    centred = world.scores - 3
    np.testing.assert_allclose(centred, world.user_factors @ world.item_factors.T, atol=1e-12)
    assert np.linalg.matrix_rank(centred[:200, :200]) == 4
    assert abs(centred.std() - 1) < 0.1


def test_biases_are_found_again_by_least_squares():
    world = worlds.make_biases(noise=0.0)
    u, i = places(world)
    n_users, n_items = world.scores.shape
    design = np.zeros((len(u) + 2, 1 + n_users + n_items))
    row = np.arange(len(u))
    design[row, 0] = design[row, 1 + u] = design[row, 1 + n_users + i] = 1
    design[-2, 1 : 1 + n_users] = design[-1, 1 + n_users :] = 1  # each family sums to zero
    found, *_ = np.linalg.lstsq(design, np.append(world.data.interactions.ratings, [0, 0]), rcond=None)
    np.testing.assert_allclose(
        found, np.concatenate([[world.mean], world.user_biases, world.item_biases]), atol=1e-9
    )
    assert world.mean == 3.5


def test_taste_groups_like_their_own():
    world = worlds.make_taste_groups()
    np.testing.assert_array_equal(world.likes, world.user_groups[:, None] == world.item_groups)
    assert np.unique(world.scores[world.likes]) == [4.5] and np.unique(world.scores[~world.likes]) == [2.0]


@pytest.mark.parametrize("shape", [(20, 20), (4, 5), (7, 4), (31, 12)])
def test_checkerboard_hides_one_item_a_user(shape):
    world = worlds.make_checkerboard(*shape)
    seen = np.zeros(shape, bool)
    seen[places(world)] = True
    assert (seen <= world.likes).all()
    withheld = world.likes & ~seen
    assert (withheld.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(world.item_ids[withheld.argmax(axis=1)], world.hidden)
    assert withheld.any(axis=0)[: min(shape)].sum() >= min(shape) - 1  # not the same item for all
    assert world.data.interactions.ratings is None


def test_popularity_follows_its_power_law():
    world = worlds.make_popularity(n_users=20000, n_items=50, n_interactions=5000, exponent=1.0)
    u, i = places(world)
    counts = np.bincount(i, minlength=50)
    np.testing.assert_allclose(
        counts / 5000, world.popularity, atol=5 * np.sqrt(world.popularity.max() / 5000)
    )
    assert abs(np.corrcoef(counts, world.popularity)[0, 1]) > 0.98
    sorted_chances = np.sort(world.popularity)[::-1]
    np.testing.assert_allclose(sorted_chances[0] / sorted_chances[9], 10)
    flat = worlds.make_popularity(exponent=0.0)
    np.testing.assert_allclose(flat.popularity, 1 / 100)


def test_pairs_may_be_drawn_to_the_last():
    world = worlds.make_popularity(n_users=5, n_items=4, n_interactions=20)
    assert len(world.data) == 20 and len(set(zip(*places(world), strict=True))) == 20


def test_million_ratings_without_a_step_for_each():
    made = work_of(worlds.make_ratings)
    x = made.result.interactions
    assert (len(x), x.n_users <= 6000, x.n_items <= 3700) == (1_000_000, True, True)
    assert len(np.unique(x.user_codes * 3700 + x.item_codes)) == 1_000_000
    assert np.unique(x.ratings).tolist() == [1, 2, 3, 4, 5]
    share = np.sort(np.bincount(x.item_codes))[::-1].cumsum() / len(x)
    assert share[369] > 0.3, "a tenth of the items should draw over three tenths of the ratings"
    assert made.calls < len(x) / 100 and made.peak < 8 * 50 * len(x)


BAD_WORLDS = {
    "no users": (worlds.make_low_rank, {"n_users": 0}, "n_users"),
    "half an item": (worlds.make_biases, {"n_items": 2.5}, "n_items"),
    "density 0": (worlds.make_low_rank, {"density": 0}, "density"),
    "density above 1": (worlds.make_biases, {"density": 1.5}, "density"),
    "density NaN": (worlds.make_biases, {"density": float("nan")}, "density"),
    "negative noise": (worlds.make_taste_groups, {"noise": -1}, "noise"),
    "unknown ids": (worlds.make_low_rank, {"ids": "uuid"}, "'int' or 'str'"),
    "too many groups": (worlds.make_taste_groups, {"n_groups": 61}, "fewer groups"),
    "too small a board": (worlds.make_checkerboard, {"n_users": 3}, "4 × 4"),
    "more meetings than pairs": (
        worlds.make_popularity,
        {"n_users": 2, "n_items": 2, "n_interactions": 5},
        "ask for fewer",
    ),
    "negative exponent": (worlds.make_popularity, {"exponent": -1}, "exponent"),
    "a negative cross": (worlds.make_ctr, {"cross": -1}, "cross"),
    "more clicks than pairs": (worlds.make_ctr, {"n_users": 3, "n_items": 3}, "ask for fewer"),
    "more ratings than pairs": (worlds.make_ratings, {"n_users": 3, "n_items": 3}, "ask for fewer"),
}


@pytest.mark.parametrize("case", BAD_WORLDS)
def test_bad_worlds(case):
    make, arguments, part = BAD_WORLDS[case]
    with pytest.raises(ValueError, match=part):
        make(**arguments)


def test_world_names_what_it_knows():
    with pytest.raises(AttributeError, match="no `groups`.*scores"):
        _ = worlds.make_low_rank().groups


# ---------------------------------------------------------------- the shop


@pytest.fixture(scope="module")
def shop():
    """A shop with its rows in codes: places in the truth."""
    world = worlds.make_shop(n_users=800, n_items=200, n_days=100, seed=3)
    rows = world.data.interactions.to_frame()
    rows["u"], rows["i"] = places(world)
    rows["c"] = world.item_categories[rows["i"]]
    rows["day"] = (rows["timestamp"] - worlds.OPENING) // worlds.DAY
    rows["proceed"] = world.proceed
    return world, rows


def went_on(rows: pd.DataFrame) -> pd.Series:
    """Whether the row's event was followed by the next on the path: the next row of the session."""
    step = rows["event"].map(list(worlds.EVENTS).index)
    following = step.groupby(rows["session"]).shift(-1)
    return following == step + 1


def test_shop_repeats_by_seed_and_differs_without():
    one, again, other = (worlds.make_shop(50, 20, 30, seed=seed).data for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.interactions.to_frame(), again.interactions.to_frame())
    pd.testing.assert_frame_equal(one.items, again.items)
    for name in ("texts", "images"):
        np.testing.assert_array_equal(one.content[name], again.content[name])
    assert not one.interactions.to_frame().equals(other.interactions.to_frame())


def test_shop_lists_everybody_in_the_stated_columns(shop):
    world, rows = shop
    data = world.data
    assert list(data.users) == ["age", "sex", "place", "taste", "arrived"] and data.users.index[0] == "u1"
    assert list(data.items) == ["category", "price", "title", "arrived"] and data.items.index[0] == "i1"
    assert (len(data.users), len(data.items)) == (800, 200)
    assert data.interactions.users.dtype.kind == data.interactions.items.dtype.kind == "O"
    assert data.content["images"].shape == (200, 16, 16, 3) and data.content["images"].dtype == np.uint8
    assert data.content["texts"].shape == (200,) and set(rows["event"]) == set(worlds.EVENTS)
    numbers = worlds.make_shop(20, 10, 10, ids="int").data.interactions
    assert numbers.users.dtype == numbers.items.dtype == np.int64


def test_shop_paths_are_paths(shop):
    _, rows = shop
    assert (rows["timestamp"].diff().dropna() >= 0).all()
    step = rows["event"].map(list(worlds.EVENTS).index)
    before = rows.groupby("session")[["i", "timestamp"]].shift(1)
    step_before = step.groupby(rows["session"]).shift(1)
    assert (rows["timestamp"] > before["timestamp"])[before["timestamp"].notna()].all()
    later = step > 0
    assert (step_before == step - 1)[later].all() and (before["i"] == rows["i"])[later].all()
    sessions = rows.groupby("session")
    assert (sessions["u"].nunique() == 1).all() and (sessions["day"].nunique() == 1).all()
    assert not rows.drop_duplicates("session").duplicated(["u", "day"]).any(), "one session a person and day"
    looked = (rows["event"] == "browse").groupby(rows["session"]).sum()
    assert abs(looked.mean() - 3) < 5 * np.sqrt(2 / len(looked)), "1 + Poisson(2)"


def test_shop_chances_are_those_of_the_formulas(shop):
    world, rows = shop
    items = world.data.items
    middle = items["category"].map({name: c[1] for name, c in worlds.CATEGORIES.items()}).to_numpy(float)
    logit = lambda p: np.log(p / (1 - p))  # noqa: E731
    np.testing.assert_allclose(logit(world.click), logit(0.35) + 0.8 * np.log(8 * world.tastes))
    np.testing.assert_allclose(logit(world.cart), logit(0.30) + world.qualities)
    np.testing.assert_allclose(logit(world.buy), logit(0.45) - 0.7 * np.log(items["price"] / middle) / 0.5)
    step = rows["event"].map(list(worlds.EVENTS).index)
    chance = [
        world.click[rows["u"], rows["c"]],
        world.cart[rows["i"]],
        world.buy[rows["i"]],
        np.zeros(len(rows)),
    ]
    np.testing.assert_array_equal(world.proceed, np.choose(step, chance))
    np.testing.assert_array_equal(world.transitions, [0.35, 0.30, 0.45])


@pytest.mark.parametrize("event", worlds.EVENTS)
def test_shop_transition_rates_are_found_again(shop, event):
    world, rows = shop
    here = rows["event"] == event
    p, happened = rows["proceed"][here].to_numpy(), went_on(rows)[here].to_numpy()
    error = np.sqrt((p * (1 - p)).sum()) / len(p)
    assert len(p) > 500 and abs(happened.mean() - p.mean()) <= 4 * error
    if event == "buy":
        assert not happened.any()
        return
    # Not only in the mean: those with a high chance go on more often than those with a low one.
    high = p > np.median(p)
    expected = p[high].mean() - p[~high].mean()
    assert expected > 0.05 and abs(happened[high].mean() - happened[~high].mean() - expected) < 8 * error


def test_shop_base_rate_and_taste_gain_are_found_again_by_regression(shop):
    world, rows = shop
    here = (rows["event"] == "browse").to_numpy()
    y = went_on(rows)[here].to_numpy(float)
    X = np.column_stack([np.ones(here.sum()), np.log(8 * world.tastes[rows["u"], rows["c"]])[here]])
    beta = np.zeros(2)
    for _ in range(20):  # Newton's method
        p = 1 / (1 + np.exp(-X @ beta))
        H = (X * (p * (1 - p))[:, None]).T @ X
        beta += np.linalg.solve(H, X.T @ (y - p))
    error = np.sqrt(np.diag(np.linalg.inv(H)))
    assert (np.abs(beta - [np.log(0.35 / 0.65), 0.8]) < 4 * error).all() and (error < 0.05).all()


def test_shop_categories_are_browsed_by_taste_and_season(shop):
    world, rows = shop
    looked = rows[rows["event"] == "browse"]
    chance = world.tastes[looked["u"]] * world.seasons[looked["day"]]
    chance /= chance.sum(axis=1, keepdims=True)
    found = np.bincount(looked["c"], minlength=8)
    assert (np.abs(found - chance.sum(axis=0)) < 4 * np.sqrt((chance * (1 - chance)).sum(axis=0))).all()
    # The favourite category of each person takes the share that taste and season give it.
    favourite = world.tastes.argmax(axis=1)[looked["u"]]
    p = chance[np.arange(len(looked)), favourite]
    assert abs((looked["c"] == favourite).mean() - p.mean()) < 4 * np.sqrt((p * (1 - p)).sum()) / len(p)
    # Without its season a category is looked at less: the first peaks on the first and the last day.
    near = np.cos(2 * np.pi * looked["day"] / 100)
    assert (looked["c"][near > 0.7] == 0).mean() > 2 * (looked["c"][near < -0.7] == 0).mean()
    np.testing.assert_allclose(world.seasons[[0, 50], 0], np.exp([0.8, -0.8]))
    np.testing.assert_allclose(world.tastes.sum(axis=1), 1)


def test_shop_tastes_follow_from_what_is_known_of_people():
    world = worlds.make_shop(n_users=5000, n_items=8, n_days=2)
    users = world.data.users
    known = np.column_stack(
        [users.sex == "F", (users.age - 45) / 15, users.place == "town", users.place == "village"]
    ).astype(float)
    log_taste = np.log(world.tastes) - np.log(world.tastes).mean(axis=1, keepdims=True)
    found = np.linalg.lstsq(np.column_stack([np.ones(5000), known]), log_taste, rcond=None)[0][1:].T
    np.testing.assert_allclose(found, world.taste_weights - world.taste_weights.mean(axis=0), atol=0.2)
    named = users["taste"].map(list(world.categories).index).to_numpy()
    p = world.tastes[np.arange(5000), named]
    expected = (world.tastes**2).sum(axis=1)  # E θ_named
    assert abs(p.mean() - expected.mean()) < 4 * p.std() / np.sqrt(5000)


def test_shop_nobody_and_nothing_appears_before_arriving(shop):
    world, rows = shop
    users, items = world.data.users, world.data.items
    np.testing.assert_array_equal(users["arrived"], worlds.OPENING + worlds.DAY * world.user_arrivals)
    np.testing.assert_array_equal(items["arrived"], worlds.OPENING + worlds.DAY * world.item_arrivals)
    assert (rows["timestamp"] >= users["arrived"].to_numpy()[rows["u"]]).all()
    assert (rows["timestamp"] >= items["arrived"].to_numpy()[rows["i"]]).all()
    first = rows.groupby("u")["day"].min()
    new = world.user_arrivals[first.index] > 0
    np.testing.assert_array_equal(
        first[new], world.user_arrivals[first.index][new]
    )  # they come when they arrive
    for arrivals, share in ((world.user_arrivals, 0.4), (world.item_arrivals, 0.3)):
        late = (arrivals > 0).mean()
        assert abs(late - share) < 0.1 and arrivals.max() > 80
    for c in range(8):
        assert world.item_arrivals[world.item_categories == c].min() == 0


def test_shop_new_products_are_looked_at_by_weight(shop):
    world, rows = shop
    looked = rows[(rows["event"] == "browse") & (rows["c"] == 0)]
    mine = np.flatnonzero(world.item_categories == 0)
    there = world.item_arrivals[mine] <= looked["day"].to_numpy()[:, None]
    p = there * world.weights[mine]
    p /= p.sum(axis=1, keepdims=True)
    found = np.bincount(looked["i"], minlength=200)[mine]
    assert (np.abs(found - p.sum(axis=0)) <= 4.5 * np.sqrt((p * (1 - p)).sum(axis=0))).all()
    assert (world.item_arrivals[mine] > 0).sum() >= 3


def test_shop_visits_come_at_each_persons_rate(shop):
    world, rows = shop
    sessions = rows.drop_duplicates("session")
    found = np.bincount(sessions["u"], minlength=800)
    new = world.user_arrivals > 0
    days = 100 - world.user_arrivals - new
    expected = days * world.visits + new
    deviation = (found - expected) / np.sqrt(np.maximum(days * world.visits * (1 - world.visits), 1e-9))
    assert np.abs(deviation[days > 20]).max() < 5 and abs((found - expected).mean()) < 0.5


def test_shop_prices_are_log_normal_about_their_middle():
    items = worlds.make_shop(n_users=1, n_items=4000, n_days=1).data.items
    for name, (_, middle, _) in worlds.CATEGORIES.items():
        z = np.log(items.price[items.category == name] / middle) / 0.5
        assert abs(z.mean()) < 4 / np.sqrt(500) and abs(z.std() - 1) < 0.15
    np.testing.assert_array_equal(items.price, items.price.round(2))


def test_shop_texts_and_pictures_tell_the_category(shop):
    world, _ = shop
    vocabulary = {name: set(words.split()) for name, (words, _, _) in worlds.CATEGORIES.items()}
    assert len(set.union(*vocabulary.values(), set(worlds.COMMON))) == sum(map(len, vocabulary.values())) + 12
    own = []
    for title, text, name in zip(
        world.data.items.title, world.data.content["texts"], world.data.items.category, strict=True
    ):
        first, second = title.lower().split()
        assert first != second and {first, second} <= vocabulary[name]
        words = text.split()
        assert len(words) == 12 and set(words) <= vocabulary[name] | set(worlds.COMMON)
        own.append(np.mean([word in vocabulary[name] for word in words]))
    assert abs(np.mean(own) - 0.7) < 0.05
    # The nearest mean picture of half of them names the category of the other half.
    x = world.data.content["images"].reshape(200, -1).astype(float)
    means = np.stack([x[:100][world.item_categories[:100] == c].mean(axis=0) for c in range(8)])
    nearest = ((x[100:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == world.item_categories[100:]).mean() > 0.9


@pytest.mark.parametrize(
    "arguments, part",
    [
        ({"n_users": 0}, "`n_users` is 0"),
        ({"n_items": 7}, "8 categories"),
        ({"n_days": 0.5}, "`n_days` is 0.5"),
        ({"ids": "uuid"}, "'int' or 'str'"),
    ],
)
def test_bad_shops(arguments, part):
    with pytest.raises(ValueError, match=part):
        worlds.make_shop(**arguments)


def test_the_smallest_shop_opens():
    data = worlds.make_shop(1, 8, 1).data
    assert len(data) >= 1 and data.users["arrived"].tolist() == [worlds.OPENING]


# ---------------------------------------------------------------- clicks


def test_expected_auc_is_the_mean_auc_of_drawn_clicks():
    rng = np.random.default_rng(0)
    chances, scores = rng.random(300), rng.integers(0, 40, 300)
    drawn = [metrics.auc(rng.random(300) < chances, scores) for _ in range(400)]
    # A ratio's mean is not the ratio of means: with 300 pairs they differ by about a thousandth.
    assert worlds.expected_auc(chances, scores) == pytest.approx(np.mean(drawn), abs=0.004)
    assert worlds.expected_auc(chances, np.zeros(300)) == 0.5
    assert worlds.expected_auc([1.0, 0.0, 1.0], [3, 2, 1]) == 0.5
    with pytest.raises(ValueError, match="or hold NaN"):
        worlds.expected_auc(chances, np.full(300, np.nan))


def test_ctr_states_the_best_auc_and_the_best_additive_one():
    world = worlds.make_ctr()
    assert world.bayes_auc > world.additive_auc + 0.2
    p = world.scores
    u, i = places(world)
    clicks = world.data.interactions.ratings
    assert np.isin(clicks, (0, 1)).all()
    # The clicks are drawn from the chances: each tenth of the pairs, by chance, within four deviations.
    tenth = np.digitize(p[u, i], np.quantile(p[u, i], np.arange(1, 10) / 10))
    for group in range(10):
        mine = p[u, i][tenth == group]
        deviation = np.sqrt((mine * (1 - mine)).sum()) / len(mine)
        assert abs(clicks[tenth == group].mean() - mine.mean()) < 4 * deviation
    # No chance function of one side's fields ranks better than the chances; any monotone one ranks as well.
    assert worlds.expected_auc(p, np.log(p)) == pytest.approx(float(world.bayes_auc), abs=1e-12)
    rng = np.random.default_rng(1)
    users, items = world.data.users, world.data.items
    for _ in range(30):
        parts = {
            name: table[name].map(dict(zip(table[name].unique(), rng.normal(size=9), strict=False)))
            for table in (users, items)
            for name in table
        }
        score = (parts["group"] + parts["town"]).to_numpy()[:, None] + (
            parts["kind"] + parts["tier"]
        ).to_numpy()
        assert worlds.expected_auc(p, score) < world.additive_auc


def test_without_crosses_the_additive_auc_is_the_best():
    world = worlds.make_ctr(cross=0)
    assert world.additive_auc == pytest.approx(float(world.bayes_auc), abs=1e-9)
