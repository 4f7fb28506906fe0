"""Generated worlds whose truth is known.

`make_*` plant a truth and draw interactions from it, so that a test knows the right answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbook.interactions import Dataset, Interactions


@dataclass(frozen=True)
class World:
    """Generated data and the truth they were drawn from.

    `world.truth["scores"]` may be written `world.scores`.

    data : a Dataset. Its tables list every user and item, also those that met nobody.
    truth : name → array; rows and columns in the order of `user_ids` and `item_ids`, which are part of it
    """

    data: Dataset
    truth: dict[str, np.ndarray]

    def __getattr__(self, name: str) -> np.ndarray:
        truth = self.__dict__.get("truth", {})
        if name not in truth:
            raise AttributeError(f"this world has no `{name}`; its truth has {sorted(truth)}")
        return truth[name]


def make_low_rank(
    n_users: int = 100,
    n_items: int = 80,
    rank: int = 3,
    density: float = 0.3,
    noise: float = 0.1,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Ratings of a matrix of low rank, some of them seen, with noise.

    r_ui = 3 + p_u · q_i + noise · ε_ui with ε ~ N(0, 1), entries of p_u and q_i (length `rank`) from
    N(0, rank**-½), so that p_u · q_i has variance 1. A share `density` of all pairs is seen, each
    equally likely. Ratings are real numbers, not clipped.

    truth : user_factors (n_users, rank), item_factors (n_items, rank), scores (n_users, n_items): r without
        noise

    Raises ValueError for sizes below 1, a density outside (0, 1], negative noise, or unknown `ids`.
    """
    _check(n_users=n_users, n_items=n_items, rank=rank)
    rng = np.random.default_rng(seed)
    scale = rank**-0.25  # a standard deviation: the variance of an entry is rank**-½
    p = rng.normal(0, scale, (n_users, rank))
    q = rng.normal(0, scale, (n_items, rank))
    truth = {"user_factors": p, "item_factors": q, "scores": 3 + p @ q.T}
    return _rated_world("low rank", truth, density, noise, rng, ids)


def make_biases(
    n_users: int = 100,
    n_items: int = 80,
    mean: float = 3.5,
    user_sd: float = 0.4,
    item_sd: float = 0.5,
    density: float = 0.3,
    noise: float = 0.1,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Ratings that are a mean and two biases: some users are kinder, some items are better.

    r_ui = mean + b_u + b_i + noise · ε_ui with b_u ~ N(0, user_sd²), b_i ~ N(0, item_sd²), ε ~ N(0, 1); each
    family of biases is shifted to sum to zero, so that the mean is theirs alone. A share `density`
    of all pairs is seen, each equally likely. Ratings are real numbers, not clipped.

    truth : mean (), user_biases (n_users,), item_biases (n_items,), scores (n_users, n_items): r without
        noise

    Raises ValueError as `make_low_rank`.
    """
    _check(n_users=n_users, n_items=n_items)
    _check_not_negative(user_sd=user_sd, item_sd=item_sd)
    rng = np.random.default_rng(seed)
    b_u = rng.normal(0, user_sd, n_users)
    b_i = rng.normal(0, item_sd, n_items)
    b_u, b_i = b_u - b_u.mean(), b_i - b_i.mean()
    scores = mean + b_u[:, None] + b_i
    truth = {"mean": np.array(mean, float), "user_biases": b_u, "item_biases": b_i, "scores": scores}
    return _rated_world("biases", truth, density, noise, rng, ids)


def make_taste_groups(
    n_users: int = 90,
    n_items: int = 60,
    n_groups: int = 3,
    liked: float = 4.5,
    other: float = 2.0,
    density: float = 0.3,
    noise: float = 0.3,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Groups of users that like different groups of items.

    User u (0, 1, …) is of group u mod n_groups, likewise the items. r_ui = liked where the groups agree, else
    other, plus noise · ε_ui with ε ~ N(0, 1). A share `density` of all pairs is seen, each equally
    likely. What u should be shown are the unseen items of u's group. Ratings are not clipped.

    truth : user_groups (n_users,), item_groups (n_items,), likes (n_users, n_items) bool, scores: r without
        noise

    Raises ValueError as `make_low_rank`, and for more groups than users or items.
    """
    _check(n_users=n_users, n_items=n_items, n_groups=n_groups)
    if n_groups > min(n_users, n_items):
        raise ValueError(
            f"`n_groups` is {n_groups}, above n_users or n_items ({n_users}, {n_items}); ask for fewer groups"
        )
    groups = np.arange(n_users) % n_groups, np.arange(n_items) % n_groups
    likes = groups[0][:, None] == groups[1]
    scores = np.where(likes, float(liked), float(other))
    truth = {"user_groups": groups[0], "item_groups": groups[1], "likes": likes, "scores": scores}
    return _rated_world("taste groups", truth, density, noise, np.random.default_rng(seed), ids)


def make_checkerboard(n_users: int = 20, n_items: int = 20, ids: str = "int") -> World:
    """Users who met every item of their own parity but one: that one is the right recommendation.

    User u (0, 1, …) likes item i exactly if u + i is even. Withheld from u is the item of u's parity at place
    ⌊u/2⌋ (modulo their number) among these. No ratings, no chance. After an idea in the tests of implicit.

    truth : likes (n_users, n_items) bool, hidden (n_users,): the id of the one item to recommend

    Raises ValueError for fewer than 4 users or items.
    """
    if n_users < 4 or n_items < 4:
        raise ValueError(
            f"a checkerboard of {n_users} × {n_items} has nothing to learn from; make it 4 × 4 or larger"
        )
    u = np.arange(n_users)
    likes = (u[:, None] + np.arange(n_items)) % 2 == 0
    hidden = u % 2 + 2 * (u // 2 % likes.sum(axis=1))
    seen = likes.copy()
    seen[u, hidden] = False
    user_ids, item_ids = _ids(n_users, n_items, ids)
    return _world(
        "checkerboard",
        {"likes": likes, "hidden": item_ids[hidden]},
        np.nonzero(seen),
        None,
        user_ids,
        item_ids,
    )


def make_popularity(
    n_users: int = 200,
    n_items: int = 100,
    n_interactions: int = 4000,
    exponent: float = 1.0,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Meetings without taste: some items are met more often, by a power law, and that is all.

    Pairs are drawn one after another without putting back, item i with probability proportional to
    k_i**-exponent, k_i being its place in a random order of the items. Every user is equally likely.
    Because a pair is drawn only once, the counts of the top items flatten as users run out.

    truth : popularity (n_items,): the chance of each item in the first draw, summing to 1

    Raises ValueError for sizes below 1, more meetings than pairs, or a negative exponent.
    """
    _check(n_users=n_users, n_items=n_items, n_interactions=n_interactions)
    _check_not_negative(exponent=exponent)
    rng = np.random.default_rng(seed)
    weight = (1.0 + rng.permutation(n_items)) ** -exponent
    pairs = _draw_pairs(rng, n_interactions, np.ones(n_users), weight)
    return _world(
        "popularity", {"popularity": weight / weight.sum()}, pairs, None, *_ids(n_users, n_items, ids)
    )


def make_ratings(
    n_users: int = 6000,
    n_items: int = 3700,
    n_ratings: int = 1_000_000,
    seed: int = 0,
    ids: str = "int",
) -> Dataset:
    """Many ratings from 1 to 5 in the manner of MovieLens, for measuring time and memory. No truth is kept.

    Pairs without putting back, with probability proportional to a_u · c_i: a_u is log-normal (σ = 1), c_i is
    1 / (10 + place of i). r_ui = 3.5 + b_u + b_i + p_u · q_i + ε, rounded and clipped to 1…5: biases from
    N(0, .4²), four factors a side with p_u · q_i of standard deviation .4, ε ~ N(0, .8²).

    Raises ValueError for sizes below 1, or more ratings than pairs.
    """
    _check(n_users=n_users, n_items=n_items, n_ratings=n_ratings)
    rng = np.random.default_rng(seed)
    user_weight = rng.lognormal(0, 1, n_users)
    item_weight = 1 / (10 + rng.permutation(n_items))
    u, i = _draw_pairs(rng, n_ratings, user_weight, item_weight)
    b_u, b_i = rng.normal(0, 0.4, n_users), rng.normal(0, 0.4, n_items)
    scale = np.sqrt(0.4 / 2)  # four products of two such entries: variance 4 · .2² = .4²
    p, q = rng.normal(0, scale, (n_users, 4)), rng.normal(0, scale, (n_items, 4))
    score = 3.5 + b_u[u] + b_i[i] + np.einsum("nf,nf->n", p[u], q[i]) + rng.normal(0, 0.8, n_ratings)
    ratings = np.clip(np.rint(score), 1, 5)
    return _world("ratings", {}, (u, i), ratings, *_ids(n_users, n_items, ids)).data


def _rated_world(
    name: str, truth: dict[str, np.ndarray], density: float, noise: float, rng: np.random.Generator, ids: str
) -> World:
    """A share `density` of the pairs, with the truth's scores and noise as ratings."""
    _check_not_negative(noise=noise)
    if not 0 < density <= 1:
        raise ValueError(
            f"`density` is {density!r}; give the share of pairs that are rated, above 0 and at most 1"
        )
    scores = truth["scores"]
    n_users, n_items = scores.shape
    n = max(1, round(density * scores.size))
    pairs = _draw_pairs(rng, n, np.ones(n_users), np.ones(n_items))
    ratings = scores[pairs] + noise * rng.normal(size=n)
    return _world(name, truth, pairs, ratings, *_ids(n_users, n_items, ids))


def _world(name, truth, pairs, ratings, user_ids, item_ids) -> World:
    rows = {"user": user_ids[pairs[0]], "item": item_ids[pairs[1]]}
    if ratings is not None:
        rows["rating"] = ratings
    data = Dataset(
        Interactions.from_frame(pd.DataFrame(rows)),
        users=pd.DataFrame(index=pd.Index(user_ids, name="user")),
        items=pd.DataFrame(index=pd.Index(item_ids, name="item")),
        name=name,
        source="generated",
    )
    return World(data, {"user_ids": user_ids, "item_ids": item_ids, **truth})


def _draw_pairs(
    rng, n: int, user_weight: np.ndarray, item_weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """n distinct pairs (u, i), drawn one after another without putting back.

    Each pair's chance is proportional to user_weight[u] · item_weight[i]. The n smallest of
    Exp(1) / weight are such a draw, in its order (Efraimidis and Spirakis, 2006).
    """
    size = len(user_weight) * len(item_weight)
    if n > size:
        raise ValueError(
            f"{n:,} interactions were asked of {len(user_weight):,} × {len(item_weight):,} = {size:,} pairs; "
            "ask for fewer, or for more users or items"
        )
    keys = rng.standard_exponential((len(user_weight), len(item_weight)), dtype=np.float32)
    keys /= user_weight.astype(np.float32)[:, None]
    keys /= item_weight.astype(np.float32)
    keys = keys.ravel()
    threshold = np.partition(keys, n - 1)[n - 1]
    candidates = np.flatnonzero(keys <= threshold)  # a few more than n where float32 ties
    drawn = candidates[np.argsort(keys[candidates], kind="stable")[:n]]
    return np.divmod(drawn, len(item_weight))


def _ids(n_users: int, n_items: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Ids 1, 2, … (never equal to a code), or "u1", "u2", … and "i1", "i2", …."""
    if kind not in ("int", "str"):
        raise ValueError(f"`ids` is {kind!r}; choose 'int' or 'str'")
    sides = []
    for letter, n in (("u", n_users), ("i", n_items)):
        numbers = np.arange(1, n + 1)
        sides.append(numbers if kind == "int" else np.array([f"{letter}{number}" for number in numbers]))
    return sides[0], sides[1]


def _check(**sizes: int) -> None:
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"`{name}` is {value!r}; give a whole number, at least 1")


def _check_not_negative(**numbers: float) -> None:
    for name, value in numbers.items():
        if not value >= 0:
            raise ValueError(f"`{name}` is {value!r}; give a number of at least 0")


# ---------------------------------------------------------------- the shop

DAY = 86_400
OPENING = 1_704_067_200  # Monday, 1 January 2024, 0:00 UTC: the shop's day 0
EVENTS = ("browse", "click", "cart", "buy")
PLACES = ("city", "town", "village")
YEAR = 365
# A category: its words, the middle of its prices, and the colour of its pictures.
CATEGORIES = {
    "books": (
        "novel story reader chapter poem author cover paperback fiction library page tale",
        14,
        (178, 34, 52),
    ),
    "games": (
        "board dice puzzle player card token quest family strategy round score tower",
        30,
        (230, 159, 0),
    ),
    "garden": ("seed spade flower soil herb pot hose lawn rake bulb shrub compost", 24, (0, 128, 72)),
    "kitchen": ("pan knife oven recipe bowl spoon kettle steel bake grill whisk plate", 38, (86, 180, 233)),
    "music": (
        "album guitar string vinyl song band chord drum melody record concert tune",
        20,
        (110, 60, 160),
    ),
    "shoes": ("sole lace leather boot sandal heel trail size walk sneaker insole suede", 75, (120, 82, 45)),
    "sport": ("ball training racket jersey goal run yoga weight court swim helmet match", 46, (0, 90, 178)),
    "toys": ("doll train block puppet kite bear wagon marble castle crayon robot rattle", 18, (240, 228, 66)),
}
COMMON = tuple("new classic small large light strong fine useful lovely gift quality everyday".split())
DESCRIPTION_WORDS = 12
CATEGORY_WORD_SHARE = 0.7
PICTURE = 16  # pixels a side
BASE_RATES = (
    0.35,
    0.30,
    0.45,
)  # browse → click, click → cart, cart → buy, where nothing speaks for or against
TASTE_GAIN, PRICE_GAIN = 0.8, 0.7
SEASON_SWING = 0.8
PRICE_SD = 0.5
PAUSE = 30.0  # seconds between two events of a session, in the mean


def make_shop(
    n_users: int = 600, n_items: int = 240, n_days: int = 120, seed: int = 0, ids: str = "str"
) -> World:
    """A shop: people of different taste browse its products, click on some, put some into the cart, buy a few.

    People. Sex, age (18…80) and place are drawn independently. Taste θ_u is a share for each of C = 8
    categories, and partly follows from these: θ_u = softmax(B x_u + ε_u), x_u = (is F, (age − 45)/15, in
    a town, in a village), entries of B ~ N(0, .5²), ε ~ N(0, 1). On signing up each names one
    category that is liked, drawn from θ_u. Person u arrives on day a_u: 0 for 60 %, else any later
    day; comes on that later day, and on each day after arriving with chance ρ_u ~ Beta(2, 14).

    Products. Categories are of equal size. log price ~ N(log of the category's middle, .5²), rounded to cents.
    Weight w_i is log-normal (σ = 1): how often a product is shown. Product i is new on day b_i: 0 for
    70 % (and for one at least in each category), else any later day. Words of a title come from the
    category, of a description 70 %. Pictures: stripes in the category's colour, and noise.

    Paths. A day's visit is one session of 1 + Poisson(2) products, each drawn in two steps:
        category c with chance θ_uc s_c(t) / Σ_c' θ_uc' s_c'(t);   product i of c with chance ∝ w_i [b_i ≤ t]
    with the season s_c(t) = exp(.8 cos(2π (t/T − c/C))), T = min(365, n_days) days. Every product drawn is a
    "browse", and may go on to "click", "cart", "buy", each only after the one before it:
        P(click | browse) = σ(logit .35 + .8 log(C θ_u,c(i)))         taste
        P(cart | click)   = σ(logit .30 + g_i),  g_i ~ N(0, .5²)       quality
        P(buy | cart)     = σ(logit .45 − .7 (log price_i − log middle_c(i)) / .5)   price
    Between two events of a session lie 1 + Exp(30) seconds. Rows stand in order of time.

    data : interactions user, item, timestamp (UTC seconds; day 0 is 1 January 2024), event, session;
        users : age, sex, place, taste (the category named), arrived (seconds);
        items : category, price, title, arrived (seconds); content : "texts" (n_items,) str, "images"
        (n_items, 16, 16, 3) uint8
    truth : categories (C,) names; tastes (n_users, C); taste_weights B (C, 4); visits ρ (n_users,); seasons
        (n_days, C); user_arrivals, item_arrivals: days; item_categories (n_items,) codes; weights,
        qualities (n_items,); transitions (3,): .35, .30, .45; click (n_users, C), cart (n_items,), buy
        (n_items,): the chances above, so that P(buy | browse) is click[u, c_i] · cart[i] · buy[i]; proceed (n,):
        the chance that the row's event went on to the next, 0 after "buy"

    Raises ValueError for sizes below 1, fewer products than categories, or unknown `ids`.
    """
    _check(n_users=n_users, n_items=n_items, n_days=n_days)
    if n_items < len(CATEGORIES):
        raise ValueError(
            f"`n_items` is {n_items}; the shop has {len(CATEGORIES)} categories: give as many or more"
        )
    user_ids, item_ids = _ids(n_users, n_items, ids)
    rng = np.random.default_rng(seed)
    users, people = _shop_people(rng, n_users, n_days)
    items, products = _shop_products(rng, n_items, n_days)
    day = np.arange(n_days)[:, None] / min(YEAR, n_days)
    seasons = np.exp(SEASON_SWING * np.cos(2 * np.pi * (day - np.arange(len(CATEGORIES)) / len(CATEGORIES))))
    truth = {"user_ids": user_ids, "item_ids": item_ids, "seasons": seasons, **people, **products}
    truth |= _shop_chances(truth, items["price"].to_numpy())
    rows, truth["proceed"] = _shop_paths(rng, truth, n_days)
    content = {
        "texts": _shop_texts(rng, truth["item_categories"]),
        "images": _shop_pictures(rng, truth["item_categories"]),
    }
    data = Dataset(
        Interactions.from_frame(
            rows.assign(user=user_ids[rows["user"]], item=item_ids[rows["item"]]), on_duplicate="keep"
        ),
        users=users.set_axis(pd.Index(user_ids, name="user")),
        items=items.set_axis(pd.Index(item_ids, name="item")),
        content=content,
        name="shop",
        source="generated",
    )
    return World(data, truth)


def _shop_people(rng, n: int, n_days: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    names = np.array(list(CATEGORIES))
    sex = rng.choice(["F", "M"], n)
    age = np.clip(np.rint(rng.normal(42, 14, n)), 18, 80).astype(np.int64)
    place = rng.choice(PLACES, n, p=[0.5, 0.3, 0.2])
    known = np.stack([sex == "F", (age - 45) / 15, place == "town", place == "village"], axis=1)
    weights = rng.normal(0, 0.5, (len(names), known.shape[1]))
    logits = known @ weights.T + rng.normal(size=(n, len(names)))
    tastes = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    arrivals = _arrivals(rng, n, n_days, share_at_start=0.6)
    table = pd.DataFrame({"age": age, "sex": sex, "place": place, "taste": names[_draw_columns(rng, tastes)]})
    table["arrived"] = OPENING + DAY * arrivals
    truth = {"categories": names, "tastes": tastes, "taste_weights": weights, "user_arrivals": arrivals}
    return table, truth | {"visits": rng.beta(2, 14, n)}


def _shop_products(rng, n: int, n_days: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    names, words, middles, _ = _shop_categories()
    category = rng.permutation(n) % len(names)
    arrivals = _arrivals(rng, n, n_days, share_at_start=0.7)
    arrivals[np.unique(category, return_index=True)[1]] = 0  # no category is ever empty
    price = np.round(middles[category] * np.exp(rng.normal(0, PRICE_SD, n)), 2)
    two = words[category[:, None], rng.permuted(np.tile(np.arange(words.shape[1]), (n, 1)), axis=1)[:, :2]]
    titles = [f"{first.capitalize()} {second}" for first, second in two]
    table = pd.DataFrame({"category": names[category], "price": price, "title": titles})
    table["arrived"] = OPENING + DAY * arrivals
    truth = {"item_categories": category, "item_arrivals": arrivals}
    return table, truth | {"weights": rng.lognormal(0, 1, n), "qualities": rng.normal(0, 0.5, n)}


def _shop_categories() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Names (C,), words (C, 12), middles of prices (C,), colours (C, 3)."""
    words, middles, colours = zip(*CATEGORIES.values(), strict=True)
    return (
        np.array(list(CATEGORIES)),
        np.array([w.split() for w in words]),
        np.array(middles),
        np.array(colours),
    )


def _arrivals(rng, n: int, n_days: int, share_at_start: float) -> np.ndarray:
    later = rng.integers(1, n_days, n) if n_days > 1 else np.zeros(n, np.int64)
    return np.where(rng.random(n) < share_at_start, 0, later)


def _shop_chances(truth: dict[str, np.ndarray], price: np.ndarray) -> dict[str, np.ndarray]:
    category, tastes = truth["item_categories"], truth["tastes"]
    base = np.log(BASE_RATES) - np.log1p(-np.array(BASE_RATES))
    dear = (np.log(price) - np.log(_shop_categories()[2][category])) / PRICE_SD
    return {
        "transitions": np.array(BASE_RATES),
        "click": _sigmoid(base[0] + TASTE_GAIN * np.log(tastes.shape[1] * tastes)),
        "cart": _sigmoid(base[1] + truth["qualities"]),
        "buy": _sigmoid(base[2] - PRICE_GAIN * dear),
    }


def _shop_paths(rng, truth: dict[str, np.ndarray], n_days: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Events in order of time, with user and item as places 0, 1, …; and each row's chance to go on."""
    days, arrivals = np.arange(n_days), truth["user_arrivals"][:, None]
    first_visit = (days == arrivals) & (arrivals > 0)
    comes = first_visit | (days >= arrivals) & (
        rng.random((len(arrivals), n_days)) < truth["visits"][:, None]
    )
    if not comes.any():
        comes[0, -1] = True  # a shop of one person and one day is no empty table
    user, day = np.nonzero(comes)
    start = OPENING + DAY * day + rng.integers(8 * 3600, 21 * 3600, len(user))
    # One line a product looked at.
    session = np.repeat(np.arange(len(user)), 1 + rng.poisson(2, len(user)))
    user, day = user[session], day[session]
    category = _draw_columns(rng, truth["tastes"][user] * truth["seasons"][day])
    item = _draw_products(rng, category, day, truth)
    chances = np.stack([truth["click"][user, category], truth["cart"][item], truth["buy"][item]], axis=1)
    steps = 1 + np.logical_and.accumulate(rng.random(chances.shape) < chances, axis=1).sum(axis=1)
    # One line an event.
    line = np.repeat(np.arange(len(steps)), steps)
    level = np.arange(len(line)) - np.repeat(np.cumsum(steps) - steps, steps)
    session = session[line]
    pauses = 1 + rng.exponential(PAUSE, len(line)).astype(np.int64)
    waited = np.cumsum(pauses)
    first = np.flatnonzero(np.diff(session, prepend=-1))
    time = start[session] + waited - waited[first][session]
    order = np.argsort(time, kind="stable")
    rows = pd.DataFrame({"user": user[line], "item": item[line], "timestamp": time})
    # Sessions are numbered by the time at which they begin.
    number = np.argsort(np.argsort(start, kind="stable"))[session] + 1
    rows["event"], rows["session"] = np.array(EVENTS)[level], np.char.add("s", number.astype(str))
    proceed = np.column_stack([chances, np.zeros(len(chances))])[line, level]
    return rows.iloc[order].reset_index(drop=True), proceed[order]


def _draw_products(rng, category: np.ndarray, day: np.ndarray, truth: dict[str, np.ndarray]) -> np.ndarray:
    """A product of each category, among those that are there on the day, by weight."""
    item = np.empty(len(category), np.int64)
    for c in range(len(CATEGORIES)):
        mine = np.flatnonzero(truth["item_categories"] == c)
        mine = mine[np.argsort(truth["item_arrivals"][mine], kind="stable")]  # those there are the first few
        there = np.searchsorted(truth["item_arrivals"][mine], day[category == c], side="right")
        total = np.cumsum(truth["weights"][mine])
        drawn = np.searchsorted(total, rng.random(len(there)) * total[there - 1], side="right")
        item[category == c] = mine[np.minimum(drawn, there - 1)]
    return item


def _shop_texts(rng, category: np.ndarray) -> np.ndarray:
    words = _shop_categories()[1]
    shape = len(category), DESCRIPTION_WORDS
    own = words[category[:, None], rng.integers(0, words.shape[1], shape)]
    text = np.where(rng.random(shape) < CATEGORY_WORD_SHARE, own, rng.choice(COMMON, shape))
    return np.array([" ".join(line) for line in text])


def _shop_pictures(rng, category: np.ndarray) -> np.ndarray:
    """Stripes in the category's colour: as many as its place says, at a random shift; uint8."""
    colour = _shop_categories()[3][category]
    turns = 1 + category % 4
    x = np.arange(PICTURE) / PICTURE
    phase = rng.random((len(category), 1))
    stripes = 0.75 + 0.25 * np.cos(2 * np.pi * (turns[:, None] * x + phase))
    upright = (category < 4)[:, None, None]
    light = np.where(upright, stripes[:, None, :], stripes[:, :, None])  # (n, 16, 16)
    picture = light[..., None] * colour[:, None, None, :]
    return np.clip(np.rint(picture + rng.normal(0, 20, picture.shape)), 0, 255).astype(np.uint8)


def _draw_columns(rng, weights: np.ndarray) -> np.ndarray:
    """A column for each row, with chance proportional to its weight."""
    total = np.cumsum(weights, axis=1)
    return (rng.random((len(weights), 1)) * total[:, -1:] >= total[:, :-1]).sum(axis=1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# ---------------------------------------------------------------- paths

NEXT_EVENT = {  # of a path's steps: what follows each event, and how likely
    "browse": {"browse": 0.5, "click": 0.5},
    "click": {"browse": 0.4, "cart": 0.6},
    "cart": {"browse": 0.5, "buy": 0.5},
    "buy": {"browse": 1.0},
}


def make_paths(
    n_users: int = 2000,
    n_items: int = 20,
    shortest: int = 4,
    longest: int = 12,
    memory: int = 1,
    by_event: bool = False,
    certainty: float = 0.8,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Paths of decisions: each step is an item and an event (browse, click, cart, buy), and order is all that matters.

    A path has `shortest` to `longest` steps, each number equally likely, one second apart. It begins with a browse of
    any item. Events follow one another by the chances of NEXT_EVENT. Items follow one another by a plan, the
    successor of each: with chance `certainty` the next item is the successor of the item `memory` steps before it
    (of the first, where there are fewer), else any item, each as likely. The successor of i is another item, and no
    two items have the same; with `by_event` there is a plan for each event, and the last step's event says which one
    holds. Every item is met equally often, so which items somebody has met, without their order, tells next to
    nothing.

    The last step of each path is what a model is asked for: `splits.leave_last_out` holds back just that. Who knows
    the plan is right with chance certainty + (1 - certainty) / n_items, and nobody can do better.

    truth : successors (n_plans, n_items) codes of items, a row an event in the order of EVENTS, or one row;
        chances (n_users, n_items) of the item of each path's last step, given all steps before;
        best_hit_rate (): of one guess a path, the highest that can be expected

    Raises ValueError for sizes below 1, fewer than 2 items, paths shorter than 2 steps or than `memory` + 1, or a
    certainty outside 0…1.
    """
    _check(n_users=n_users, n_items=n_items, shortest=shortest, longest=longest, memory=memory)
    if n_items < 2:
        raise ValueError("`n_items` is 1; a successor is another item: give at least 2")
    if not memory < shortest <= longest:
        raise ValueError(
            f"`shortest` is {shortest} and `longest` {longest}; paths need more than `memory` ({memory}) steps, "
            "and the longest is not shorter than the shortest"
        )
    if not 0 <= certainty <= 1:
        raise ValueError(f"`certainty` is {certainty!r}; give a chance from 0 to 1")
    rng = np.random.default_rng(seed)
    plans = np.stack([_ring(rng, n_items) for _ in range(len(EVENTS) if by_event else 1)])
    follow = np.array([[NEXT_EVENT[now].get(then, 0.0) for then in EVENTS] for now in EVENTS])
    length = rng.integers(shortest, longest + 1, n_users)
    items, events = np.zeros((2, n_users, longest), np.int64)
    planned = np.zeros((n_users, longest), np.int64)
    items[:, 0] = rng.integers(0, n_items, n_users)
    for t in range(1, longest):
        before = items[:, max(t - memory, 0)]
        planned[:, t] = plans[events[:, t - 1] if by_event else 0, before]
        kept = rng.random(n_users) < certainty
        items[:, t] = np.where(kept, planned[:, t], rng.integers(0, n_items, n_users))
        events[:, t] = _draw_columns(rng, follow[events[:, t - 1]])
    chances = np.full((n_users, n_items), (1 - certainty) / n_items)
    chances[np.arange(n_users), planned[np.arange(n_users), length - 1]] += certainty
    user, step = np.nonzero(np.arange(longest) < length[:, None])
    user_ids, item_ids = _ids(n_users, n_items, ids)
    frame = pd.DataFrame(
        {
            "user": user_ids[user],
            "item": item_ids[items[user, step]],
            "timestamp": step,
            "event": np.array(EVENTS)[events[user, step]],
        }
    )
    data = Dataset(
        Interactions.from_frame(frame, on_duplicate="keep"),
        users=pd.DataFrame(index=pd.Index(user_ids, name="user")),
        items=pd.DataFrame(index=pd.Index(item_ids, name="item")),
        name="paths",
        source="generated",
    )
    truth = {
        "user_ids": user_ids,
        "item_ids": item_ids,
        "successors": plans,
        "chances": chances,
        "best_hit_rate": np.asarray(certainty + (1 - certainty) / n_items),
    }
    return World(data, truth)


def _ring(rng, n: int) -> np.ndarray:
    """The successor of each of n items on a ring through all of them in random order."""
    around = rng.permutation(n)
    successor = np.empty(n, np.int64)
    successor[around] = np.roll(around, -1)
    return successor
