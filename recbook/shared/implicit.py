"""EASE, weighted least squares and BPR: what both wings share (chapter `implicit`).

Each row of the data says that a user met an item; a rating, where there is one, is not looked at unless a model
is told to. Equations (im-…) are those of the chapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recbook.core.blocks import power_of_two
from recbook.core.progress import bar
from recbook.errors import DivergedError, NotSupportedError
from recbook.interactions import Dataset
from recbook.recommender import Coded, Recommender, choice, device, flag, number, seed, whole
from recbook.sampling import DISTRIBUTIONS, NegativeSampler
from recbook.shared._pairs import same_draws
from recbook.shared._training import OPTIMIZERS, Batch, GradientModel, small
from recbook.shared._vectors import Side, matrix_scores, pair_scores, with_average

if TYPE_CHECKING:
    from recbook.shared.factorization_machines import LightFM

CELLS_PER_TILE = 16_384  # so that the vectors of a tile, 64 numbers each, stay in the processor's cache
FILLED = 0.75  # of a tile's width, at least, is each of its lists long, its own rounding left aside
BLOCK = 16  # factors that are solved for at a time: quickest on the processors that were tried
START = 1.0  # standard deviation of a first p's length: about that of what is learnt, which saves a sweep

CONFIDENCES = ("ones", "ratings")
NEWTON_STEPS, HALVINGS, LITTLE = 50, 30, 1e-10


# ---------------------------------------------------------------- items as each other's weights


class EASE(Recommender):
    """EASE: each item as a weighted sum of what else a user met, in closed form (Steck 2019).

    The score of u and i is Σ_j x_uj B_ji, x_uj = 1 where u met j: equation (im-item-scores). B makes
    ‖X - XB‖² + reg ‖B‖² smallest with zeros on its diagonal, which has one solution: with M = (XᵀX + reg I)⁻¹
    B_ji = -M_ji / M_ii, equation (im-ease). One inverse of the size items × items, in float64, is the whole training,
    and its time grows with the cube of the number of items: for catalogues up to some ten thousands.

    A user is nothing but the items met, so that people never seen need no training. Ratings are not looked at: each
    row is a positive, and a pair that stands twice counts once. Similar items: ±√(B_ij B_ji), the partial correlation
    of their columns, equation (im-partial).

    reg : λ; the larger, the more a weight must rest on
    device : "auto", "cpu", "cuda"

    A model saved with include_history=False knows no user, and recommends for `histories` alone. Somebody without a
    history gets what is popular in train.
    """

    task = "ranking"
    supports = frozenset({"histories", "similar_items"})
    _blank_without_history = True

    reg: float = number(400.0, above=0, search=(10.0, 3000.0, "log"))
    device: str = device()

    # ---------------------------------------------------------------- the wing's part

    def _solve(self, gram: np.ndarray):
        """Equation (im-ease) of XᵀX (items, items), float64: B, a float32 tensor."""
        raise NotImplementedError

    def _product(self, rows: np.ndarray) -> np.ndarray:
        """rows B, for rows (n, items)."""
        raise NotImplementedError

    # ---------------------------------------------------------------- what both share

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        X = train.met.astype(np.float64)
        self._weights = self._solve((X.T @ X).toarray())

    def _people(self, histories: Coded | None) -> sparse.csr_array:
        """x of everybody known, or of people never seen, who need no training."""
        if histories is None and self._train is None:
            raise NotSupportedError(
                f"this {type(self).__name__} was saved without its history, so it knows nobody's items; pass "
                "`histories`, or save it with include_history=True"
            )
        return (self._train if histories is None else histories).met

    def _score_rows(self, users, people) -> np.ndarray:
        return self._product(people[users].toarray())

    def _prior(self, users, items, people) -> np.ndarray:
        """Nothing met, nothing scored: 0; an unknown item has no weight from any other."""
        return np.zeros(len(users))

    def _similar_items(self, items) -> np.ndarray:
        B = self._to_numpy(self._weights)
        there, back = B[items], B[:, items].T
        return np.sign(there) * np.sqrt(np.abs(there * back))

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"weights": (n_items, n_items)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"weights": self._to_numpy(self._weights)}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._weights = self._to_tensor(parameters["weights"])


# ---------------------------------------------------------------- weighted least squares on all pairs


@dataclass(frozen=True, eq=False)
class Tile:
    """The lists of a few owners (users, or items) of about equal length, as a rectangle.

    owners : (members,) their codes;  others : (rows, cells) codes of what they met, 0 where a list is at its end
    root : √(c - w₀);  target : c / √(c - w₀); both (rows, cells) float32, 0 where a list is at its end
    ridge : (rows,) float32, λ of each owner

    Both sizes are of a small set, so that a compiler meets few shapes: rows behind the members are empty lists.
    """

    owners: np.ndarray
    others: np.ndarray
    root: np.ndarray
    target: np.ndarray
    ridge: np.ndarray


def in_tiles(C: sparse.csr_array, ridge: np.ndarray, unobserved: float) -> list[Tile]:
    """Cuts the rows of C, the confidences of what was met, into rectangles; longest lists first."""
    lengths = np.diff(C.indptr)
    width = _width(lengths)
    order = np.argsort(-width, kind="stable")
    falling = -width[order]
    tiles, start = [], 0
    while start < len(order):
        cells = -falling[start]
        most = max(1, CELLS_PER_TILE // cells)
        stop = min(start + most, int(np.searchsorted(falling, -FILLED * cells, side="right")))
        owners = order[start:stop]
        rows = min(power_of_two(stop - start), most)
        column = np.arange(cells)
        real = np.zeros((rows, cells), bool)
        real[: len(owners)] = column < lengths[owners][:, None]
        at = np.zeros((rows, cells), np.int64)
        at[: len(owners)] = C.indptr[owners][:, None] + column
        at = np.where(real, at, 0)
        confidence = C.data[at].astype(np.float64) if len(C.data) else np.ones(at.shape)
        root = np.sqrt(np.where(real, confidence - unobserved, 1.0))
        tiles.append(
            Tile(
                owners,
                (np.where(real, C.indices[at], 0) if len(C.data) else at).astype(np.int32),
                np.where(real, root, 0).astype(np.float32),
                np.where(real, confidence / root, 0).astype(np.float32),
                np.append(ridge[owners], np.ones(rows - len(owners))).astype(np.float32),
            )
        )
        start = stop
    return tiles


def _width(lengths: np.ndarray) -> np.ndarray:
    """Lengths rounded up to an eighth of the next power of two, and to 4 at least: a short list of widths."""
    lengths = np.maximum(lengths, 4)
    step = np.maximum(1, 2.0 ** (np.ceil(np.log2(lengths)) - 3)).astype(int)
    return -(-lengths // step) * step


class ImplicitALS(Recommender):
    """Implicit ALS: weighted least squares on all pairs, met or not (Hu et al. 2008), by blocks (Rendle et al. 2021).

    r̂_ui = p_uᵀq_i is to be 1 where u met i and 0 elsewhere. What falls is
    J = Σ w_ui (x_ui - r̂_ui)² + Σ λ_u ‖p_u‖² + Σ λ_i ‖q_i‖² over all pairs, w_ui = c_ui where u met i and
    `unobserved` everywhere else: equation (im-als-objective). That a user has not met an item says little, so it
    weighs little; but it weighs, or every r̂ would be 1.

    Sums over everything unmet cost nothing: they are the product of one matrix factors × factors. Items, then users,
    are solved for `epochs` times, `block` factors at a time and in turn, all else standing still: equation
    (im-als-block). With a block of all factors that is alternating least squares itself; small blocks take a little
    less from J in a sweep and far less time for it. `history_` has J after each sweep. People never seen
    are folded in by equation (im-als), without training.

    factors : length of p and q;  epochs : sweeps
    unobserved : w₀, weight of a pair that was not met, below every confidence
    reg : λ;  weighted : λ_u is λ times the sum of the weights of u's row; False takes λ itself, which then must be
        hundreds of times as large
    confidence : c, "ones", or "ratings", those of a pair that stands twice added up
    block : factors solved for at a time
    seed : of the normal start of p; q starts at 0
    device : "auto", "cpu", "cuda"

    Raises ValueError where a confidence is no more than `unobserved`.
    """

    task = "ranking"
    supports = frozenset({"histories", "similar_items"})
    _blank_without_history = True

    factors: int = whole(64, search=(8, 128, "log"))
    epochs: int = whole(15, search=(5, 30, "log"))
    unobserved: float = number(0.1, above=0, search=(0.01, 0.5, "log"))
    reg: float = number(0.03, above=0, search=(0.003, 0.3, "log"))
    weighted: bool = flag(True)
    confidence: str = choice("ones", CONFIDENCES)
    block: int = whole(BLOCK)
    seed: int = seed()
    device: str = device()

    # ---------------------------------------------------------------- the wing's part

    def _to_lists(self, tiles: list[Tile]) -> list:
        """The tiles as tensors, kept for all sweeps."""
        raise NotImplementedError

    def _pass(
        self, tiles: list, mine: np.ndarray, others: np.ndarray, block: int
    ) -> tuple[np.ndarray, float]:
        """Equation (im-als-block) for all owners: their vectors, and Σ (√(c-w₀) r̂ - target)².

        mine : (owners, factors), where it starts;  others : (others, factors)
        """
        raise NotImplementedError

    # ---------------------------------------------------------------- what both share

    def _check_data(self, data: Dataset) -> None:
        super()._check_data(data)
        train = data.interactions
        if self.confidence == "ratings" and train.ratings is None:
            raise ValueError(
                f"{type(self).__name__} with confidence='ratings' needs a column `rating`, and the data has none; "
                "choose confidence='ones'"
            )
        self._check_confidence(train.ratings, train.users)

    def _check_confidence(self, ratings: np.ndarray | None, users: np.ndarray) -> None:
        """What was met must weigh more than what was not."""
        c = ratings if self.confidence == "ratings" else np.ones(len(users))
        assert c is not None  # where they are asked for, train has some, and so have histories
        if len(c) and not c.min() > self.unobserved:
            row = int((~(c > self.unobserved)).argmax())
            raise ValueError(
                f"row {row}: its confidence is {c[row]:g}, no more than `unobserved` ({self.unobserved:g}), the weight "
                "of what was never met; lower `unobserved`, or leave such rows out"
            )

    def _confidences(self, coded: Coded) -> sparse.csr_array:
        """C: ones, or the ratings; those of a pair that stands twice are added up."""
        if self.confidence == "ones":
            return coded.met
        self._check_confidence(coded.ratings, coded.users)
        C = sparse.coo_array(
            (coded.ratings, (coded.users, coded.items)), (coded.n_users, coded.n_items)
        ).tocsr()
        C.sort_indices()
        return C

    def _ridges(self, C: sparse.csr_array) -> np.ndarray:
        """λ_u of each row: λ times all weights of the row, or λ alone; float64."""
        if not self.weighted:
            return np.full(C.shape[0], float(self.reg))
        n = np.diff(C.indptr)
        return self.reg * (C.sum(axis=1, dtype=np.float64) + self.unobserved * (C.shape[1] - n))

    def _tiles(self, C: sparse.csr_array, ridge: np.ndarray) -> list:
        return self._to_lists(in_tiles(C, ridge, self.unobserved))

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        C = self._confidences(train)
        Ct = C.T.tocsr()
        ridge_u, ridge_i = self._ridges(C), self._ridges(Ct)
        by_user, by_item = self._tiles(C, ridge_u), self._tiles(Ct, ridge_i)
        c = C.data.astype(np.float64)
        # c(1 - r̂)² = (c - w₀)(r̂ - c/(c - w₀))² + c - c²/(c - w₀) + w₀ r̂²: what does not hang on r̂
        rest = float((c - c**2 / (c - self.unobserved)).sum())
        start = np.random.default_rng(self.seed).normal(
            0, START * self.factors**-0.5, (train.n_users, self.factors)
        )
        self._user_factors = start.astype(np.float32)
        self._item_factors = np.zeros((train.n_items, self.factors), np.float32)
        for epoch in bar(range(1, self.epochs + 1), type(self).__name__, progress):
            self._item_factors, _ = self._pass(by_item, self._item_factors, self._user_factors, self.block)
            self._user_factors, squares = self._pass(
                by_user, self._user_factors, self._item_factors, self.block
            )
            p, q = self._user_factors.astype(np.float64), self._item_factors.astype(np.float64)
            everywhere = self.unobserved * float(((p.T @ p) * (q.T @ q)).sum())
            penalty = float(ridge_u @ (p**2).sum(1) + ridge_i @ (q**2).sum(1))
            self._write_down(epoch, squares + rest + everywhere + penalty)

    def _write_down(self, epoch: int, objective: float) -> None:
        if not np.isfinite(objective):
            raise self._singular(f"the objective is {objective} in epoch {epoch}")
        self._log.append({"epoch": epoch, "objective": objective})

    def _singular(self, what: str) -> DivergedError:
        return DivergedError(
            f"{type(self).__name__}: {what}; its equations have no single solution in float32; raise `reg` "
            f"(it is {self.reg:g}), or lower `factors` (it is {self.factors})"
        )

    def _people(self, histories: Coded | None) -> Side:
        """p of everybody known; of new people by equation (im-als), all factors at once, items as they are."""
        if histories is None:
            return _without_bias(self._user_factors)
        C = self._confidences(histories)
        nothing = np.zeros((histories.n_users, self.factors), np.float32)
        return _without_bias(
            self._pass(self._tiles(C, self._ridges(C)), nothing, self._item_factors, self.factors)[0]
        )

    def _predict(self, users, items, people, context) -> np.ndarray:
        return pair_scores(people, _without_bias(self._item_factors), users, items)

    def _score_matrix(self, users, items, people, context) -> np.ndarray:
        return matrix_scores(people, _without_bias(self._item_factors), users, items)

    def _prior(self, users, items, people) -> np.ndarray:
        """Who met nothing has the vector 0, and so has an item that nobody met."""
        return np.zeros(len(users))

    def _item_vectors(self) -> np.ndarray:
        return self._item_factors

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"user_factors": (n_users, self.factors), "item_factors": (n_items, self.factors)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"user_factors": self._user_factors, "item_factors": self._item_factors}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._user_factors, self._item_factors = parameters["user_factors"], parameters["item_factors"]


def _without_bias(vectors: np.ndarray) -> Side:
    return vectors, np.zeros(len(vectors), np.float32)


# ---------------------------------------------------------------- pairs of items


class BPR(GradientModel):
    """BPR: what a user met is to stand above what the user did not meet (Rendle et al. 2009).

    r̂_ui = p_uᵀq_i + b_i. For each pair (u, i) of train and in each epoch anew, items j are drawn that u never met.
    Made smaller is the mean of -ln σ(r̂_ui - r̂_uj) + reg (‖p_u‖² + ‖q_i‖² + ‖q_j‖² + b_i² + b_j²): equations
    (im-bpr) and (im-bpr-objective). Only differences count: a score means nothing by itself. A pair
    that stands twice in the data counts twice.

    What is drawn decides what is learnt, equation (im-log-ratio). Uniform draws order items by how likely they are to
    be met; draws by popularity by how much likelier than for everybody, and favour rare items.

    People never seen are folded in by Newton's method, equation (im-bpr-fold-in). `draw` among the parameters are
    the weights of the draws, which that needs.

    factors : length of p and q;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each example
    negatives : items drawn for each pair; the mean over them is taken
    sampling : "uniform", or "popularity", weight count**alpha
    init_scale : standard deviation of the start of p and q
    patience : epochs without fewer wrong pairs of validation before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    task = "ranking"
    supports = frozenset({"histories", "similar_items"})

    factors: int = whole(64, search=(8, 128, "log"))
    epochs: int = whole(20, search=(5, 60, "log"))
    learning_rate: float = number(0.01, above=0, search=(0.002, 0.05, "log"))
    reg: float = number(0.015, 0, search=(0.001, 0.1, "log"))
    negatives: int = whole(4, search=(1, 10))
    sampling: str = choice("uniform", DISTRIBUTIONS)
    alpha: float = number(0.75, 0)
    batch_size: int | None = whole(4096, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.05, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    # ---------------------------------------------------------------- training

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._drawn_from = NegativeSampler(
            train.users, train.items, train.n_users, train.n_items, self.sampling, self.alpha, self.user_ids_
        )
        super()._fit(train, validation, progress)

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {
            "user_factors": small(rng, train.n_users, self.factors, self.init_scale),
            "item_factors": small(rng, train.n_items, self.factors, self.init_scale),
            "item_bias": np.zeros(train.n_items, np.float32),
            "draw": self._drawn_from.weights.astype(np.float32),
        }

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        drawn = self._drawn_from.draw(train.users, self.negatives, rng)
        examples = {"user": train.users, "item": train.items, "negative": drawn}
        return {name: codes.astype(np.int32) for name, codes in examples.items()}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        return wrong_pairs(self, self._drawn_from, validation)

    # ---------------------------------------------------------------- people, and ids it does not know

    def _sides(self, people: np.ndarray) -> tuple[Side, Side]:
        learnt = self._get_parameters()
        return _without_bias(people), (learnt["item_factors"], learnt["item_bias"])

    def _people(self, histories: Coded | None) -> np.ndarray:
        """p; of a new person, by equation (im-bpr-fold-in), the one that makes its part of the objective smallest.

        That is the mean over all pairs of an item of the history and one outside it, with the weights that training
        draws them with; items stay as they are. Nobody's history leaves p = 0.
        """
        learnt = self._get_parameters()
        if histories is None:
            return learnt["user_factors"]
        q, b = learnt["item_factors"].astype(np.float64), learnt["item_bias"].astype(np.float64)
        found = np.zeros((histories.n_users, self.factors), np.float32)
        X = histories.met
        for person in range(histories.n_users):
            own = np.zeros(len(q), bool)
            own[X.indices[X.indptr[person] : X.indptr[person + 1]]] = True
            draw = learnt["draw"][~own].astype(np.float64)
            if own.any() and draw.sum() > 0:
                sides = (q[own], b[own]), (q[~own], b[~own])
                found[person] = best_vector(*sides, draw / draw.sum(), self.reg)
        return found

    def _predict(self, users, items, people, context) -> np.ndarray:
        return pair_scores(*self._sides(people), users, items)

    def _score_matrix(self, users, items, people, context) -> np.ndarray:
        return matrix_scores(*self._sides(people), users, items)

    def _prior(self, users, items, people) -> np.ndarray:
        """Somebody unknown is the average person, an unknown item the average item."""
        mine, things = self._sides(people)
        everybody = _without_bias(self._get_parameters()["user_factors"])
        return pair_scores(with_average(mine, everybody), with_average(things), users, items)

    def _item_vectors(self) -> np.ndarray:
        return self._get_parameters()["item_factors"]

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {
            "user_factors": (n_users, self.factors),
            "item_factors": (n_items, self.factors),
            "item_bias": (n_items,),
            "draw": (n_items,),
        }


def wrong_pairs(model: BPR | LightFM, sampler: NegativeSampler, validation: Coded) -> tuple[str, float]:
    """How often an item that was met stands below one that was not; its name in `history_` first."""
    drawn, people = sampler.draw(validation.users, model.negatives, same_draws(model)), model._people(None)
    above = model._predict(validation.users, validation.items, people, None)
    users = np.repeat(validation.users, model.negatives)
    below = model._predict(users, drawn.ravel(), people, None).reshape(drawn.shape)
    return "validation_error", float((above[:, None] <= below).mean())


def best_vector(above: tuple, below: tuple, draw: np.ndarray, reg: float) -> np.ndarray:
    """p that makes mean_i Σ_j draw_j ℓ(pᵀ(q_i - q_j) + b_i - b_j) + reg ‖p‖² smallest, by Newton's method; (factors,).

    above, below : vectors (n, factors) and biases (n,) of the items i and of the items j;  draw : adds up to 1
    """
    (q, b), (r, c) = above, below
    share = draw / len(q)
    reg = max(reg, 1e-9)  # the one solution that is nearest to 0, where there are many

    def differences(p):
        return (q @ p + b)[:, None] - (r @ p + c)

    def objective(p, z):
        return float((np.logaddexp(0, -z) @ share).sum() + reg * (p @ p))

    p = np.zeros(q.shape[1])
    z = differences(p)
    value = objective(p, z)
    for _ in range(NEWTON_STEPS):
        wrong = 0.5 * (1 - np.tanh(z / 2))
        pull = wrong * share
        gradient = pull.sum(0) @ r - pull.sum(1) @ q + 2 * reg * p
        bend = pull * (1 - wrong)
        across = q.T @ bend @ r
        hessian = (q.T * bend.sum(1)) @ q + (r.T * bend.sum(0)) @ r - across - across.T
        step = np.linalg.solve(hessian + 2 * reg * np.eye(len(p)), gradient)
        promised = gradient @ step
        if promised < LITTLE * max(value, LITTLE):
            break
        size = 1.0
        for _ in range(HALVINGS):
            z = differences(p - size * step)
            reached = objective(p - size * step, z)
            if reached <= value - 1e-4 * size * promised:
                break
            size /= 2
        p, value = p - size * step, reached
    return p
