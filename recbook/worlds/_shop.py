"""The shop that goes through the book: people, products, and what was looked at and bought."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbook.interactions import Dataset, Interactions
from recbook.worlds._world import World, check_sizes, draw_columns, make_ids, sigmoid

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
    check_sizes(n_users=n_users, n_items=n_items, n_days=n_days)
    if n_items < len(CATEGORIES):
        raise ValueError(
            f"`n_items` is {n_items}; the shop has {len(CATEGORIES)} categories: give as many or more"
        )
    user_ids, item_ids = make_ids(n_users, n_items, ids)
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
    table = pd.DataFrame({"age": age, "sex": sex, "place": place, "taste": names[draw_columns(rng, tastes)]})
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
        "click": sigmoid(base[0] + TASTE_GAIN * np.log(tastes.shape[1] * tastes)),
        "cart": sigmoid(base[1] + truth["qualities"]),
        "buy": sigmoid(base[2] - PRICE_GAIN * dear),
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
    category = draw_columns(rng, truth["tastes"][user] * truth["seasons"][day])
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
