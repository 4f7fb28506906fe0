"""What the models of implicit feedback share in both wings: who met what, people never seen, examples.

Each row of the data says that a user met an item; a rating, where there is one, is not looked at unless a model
is told to. Equations (im-…) are those of the chapter `implicit`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recbook.errors import DivergedError, NotSupportedError
from recbook.interactions import Dataset, Interactions
from recbook.progress import bar
from recbook.recommender import Coded, Recommender, check_choice, check_number
from recbook.sampling import DISTRIBUTIONS, NegativeSampler
from recbook.training import Batch, GradientModel

CELLS_PER_BLOCK = 2_000_000
CELLS_PER_TILE = 16_384  # so that the vectors of a tile, 64 numbers each, stay in the processor's cache
FILLED = 0.75  # of a tile's width, at least, is each of its lists long, its own rounding left aside
BLOCK = 16  # factors that are solved for at a time: quickest on the processors that were tried
START = 1.0  # standard deviation of a first p's length: about that of what is learnt, which saves a sweep

CONFIDENCES = ("ones", "ratings")
NEWTON_STEPS, HALVINGS, LITTLE = 50, 30, 1e-10


def met(coded: Coded) -> sparse.csr_array:
    """Users × items, 1 where they met, however often; float32."""
    cells = np.sort(coded.users * coded.n_items + coded.items)
    cells = cells[np.diff(cells, prepend=-1) > 0]  # np.unique hashes, and takes much longer
    shape = coded.n_users, coded.n_items
    return sparse.csr_array((np.ones(len(cells), np.float32), np.divmod(cells, coded.n_items)), shape)


# ---------------------------------------------------------------- items as each other's weights


class ItemWeightModel(Recommender):
    """Scores x_uᵀ B: what a user met, each item with its weight for every other; equation (im-item-scores)."""

    task = "ranking"

    # ---------------------------------------------------------------- the wing's part

    def _solve(self, gram: np.ndarray):
        """Equation (im-ease) of XᵀX (items, items), float64: B, a float32 tensor."""
        raise NotImplementedError

    def _product(self, rows: np.ndarray) -> np.ndarray:
        """rows B, for rows (n, items)."""
        raise NotImplementedError

    def _to_numpy(self, tensor) -> np.ndarray:
        raise NotImplementedError

    def _to_tensor(self, array: np.ndarray):
        raise NotImplementedError

    # ---------------------------------------------------------------- what both share

    def _check_hyper_parameters(self) -> None:
        check_number("reg", self.reg, 0, above=True)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        X = met(train).astype(np.float64)
        self._weights = self._solve((X.T @ X).toarray())

    def _rows(self, histories: Coded | None) -> sparse.csr_array:
        """x of everybody known, or of the people of `histories`: a person never seen needs no training."""
        if histories is not None:
            return histories.once(met)
        if self._train is None:
            raise NotSupportedError(
                f"this {type(self).__name__} was saved without its history, so it knows nobody's items; pass "
                "`histories`, or save it with include_history=True"
            )
        if getattr(self, "_met_of", None) is not self._train:
            self._met_of, self._met = self._train, met(self._train)
        return self._met

    def _blocks(self, n: int):
        step = max(1, CELLS_PER_BLOCK // len(self._item_index))
        return (slice(start, start + step) for start in range(0, n, step))

    def _predict(self, users, items, histories, context) -> np.ndarray:
        X, (people, place) = self._rows(histories), np.unique(users, return_inverse=True)
        scores = np.empty(len(users), np.float32)
        order = np.argsort(place, kind="stable")
        for block in self._blocks(len(people)):
            first, last = np.searchsorted(place[order], [block.start, block.start + len(people[block])])
            here = order[first:last]
            scores[here] = self._product(X[people[block]].toarray())[place[here] - block.start, items[here]]
        return scores

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        X = self._rows(histories)
        n_columns = len(self._item_index) if items is None else len(items)
        scores = np.empty((len(users), n_columns), np.float32)
        for block in self._blocks(len(users)):
            found = self._product(X[users[block]].toarray())
            scores[block] = found if items is None else found[:, items]
        return scores

    def _prior(self, users, items, histories):
        """Nothing met, nothing scored: 0; an unknown item has no weight from any other."""
        return np.zeros(len(users))

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
        rows = min(_power_of_two(stop - start), most)
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


def _power_of_two(n: int) -> int:
    return 1 << max(0, int(n - 1).bit_length())


class WeightedAlternatingModel(Recommender):
    """r̂_ui = p_uᵀq_i, near 1 where u met i and near 0 elsewhere; p and q by turns, in blocks of factors."""

    task = "ranking"

    # ---------------------------------------------------------------- the wing's part

    def _to_tiles(self, tiles: list[Tile]) -> list:
        """The tiles as tensors, kept for all sweeps."""
        raise NotImplementedError

    def _pass(self, tiles: list, mine, others, block: int) -> tuple:
        """Equation (im-als-block) for all owners: their vectors, and Σ (√(c-w₀) r̂ - target)² as a float.

        mine : (owners, factors), where it starts;  others : (others, factors); tensors
        """
        raise NotImplementedError

    def _to_numpy(self, tensor) -> np.ndarray:
        raise NotImplementedError

    def _to_tensor(self, array: np.ndarray):
        raise NotImplementedError

    # ---------------------------------------------------------------- what both share

    def _check_hyper_parameters(self) -> None:
        check_number("factors", self.factors, 1, whole=True)
        check_number("epochs", self.epochs, 1, whole=True)
        check_number("unobserved", self.unobserved, 0, above=True)
        check_number("reg", self.reg, 0, above=True)
        check_choice("weighted", self.weighted, (True, False))
        check_choice("confidence", self.confidence, CONFIDENCES)
        check_number("block", self.block, 1, whole=True)
        check_number("seed", self.seed, 0, whole=True)

    def _check_data(self, data: Interactions | Dataset, train: Interactions) -> None:
        super()._check_data(data, train)
        if self.confidence == "ratings" and train.ratings is None:
            raise ValueError(
                f"{type(self).__name__} with confidence='ratings' needs a column `rating`, and the data has none; "
                "choose confidence='ones'"
            )
        self._check_confidence(train.ratings, train.users)

    def _check_confidence(self, ratings: np.ndarray | None, users: np.ndarray) -> None:
        """What was met must weigh more than what was not."""
        c = ratings if self.confidence == "ratings" else np.ones(len(users))
        if len(c) and not c.min() > self.unobserved:
            row = int((~(c > self.unobserved)).argmax())
            raise ValueError(
                f"row {row}: its confidence is {c[row]:g}, no more than `unobserved` ({self.unobserved:g}), the weight "
                "of what was never met; lower `unobserved`, or leave such rows out"
            )

    def _confidences(self, coded: Coded) -> sparse.csr_array:
        """C: ones, or the ratings; those of a pair that stands twice are added up."""
        if self.confidence == "ones":
            return met(coded)
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
        return self._to_tiles(in_tiles(C, ridge, self.unobserved))

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
        self._user_factors = self._to_tensor(start.astype(np.float32))
        self._item_factors = self._to_tensor(np.zeros((train.n_items, self.factors), np.float32))
        for epoch in bar(range(1, self.epochs + 1), type(self).__name__, progress):
            self._item_factors, _ = self._pass(by_item, self._item_factors, self._user_factors, self.block)
            self._user_factors, squares = self._pass(
                by_user, self._user_factors, self._item_factors, self.block
            )
            p, q = (
                self._to_numpy(one).astype(np.float64) for one in (self._user_factors, self._item_factors)
            )
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

    def _people_of(self, histories: Coded | None):
        """p of everybody known, or of new people."""
        return self._user_factors if histories is None else histories.once(self._fold_in)

    def _fold_in(self, histories: Coded):
        """p of new people: equation (im-als), all factors at once, items as they are."""
        C = self._confidences(histories)
        nothing = self._to_tensor(np.zeros((histories.n_users, self.factors), np.float32))
        return self._pass(self._tiles(C, self._ridges(C)), nothing, self._item_factors, self.factors)[0]

    def _prior(self, users, items, histories):
        """Who met nothing has the vector 0, and so has an item that nobody met."""
        return np.zeros(len(users))

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"user_factors": (n_users, self.factors), "item_factors": (n_items, self.factors)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {
            "user_factors": self._to_numpy(self._user_factors),
            "item_factors": self._to_numpy(self._item_factors),
        }

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._user_factors = self._to_tensor(parameters["user_factors"])
        self._item_factors = self._to_tensor(parameters["item_factors"])


# ---------------------------------------------------------------- pairs of items


class PairwiseModel(GradientModel):
    """r̂_ui = p_uᵀq_i + b_i, trained so that what a user met stands above what the user did not meet."""

    task = "ranking"

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_number("factors", self.factors, 1, whole=True)
        check_number("init_scale", self.init_scale, 0, above=True)
        check_number("negatives", self.negatives, 1, whole=True)
        check_choice("sampling", self.sampling, DISTRIBUTIONS)
        check_number("alpha", self.alpha, 0)

    # ---------------------------------------------------------------- training

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        def small(n: int) -> np.ndarray:
            return rng.normal(0.0, self.init_scale, (n, self.factors)).astype(np.float32)

        return {
            "user_factors": small(train.n_users),
            "item_factors": small(train.n_items),
            "item_bias": np.zeros(train.n_items, np.float32),
            "draw": self._drawn_from.weights.astype(np.float32),
        }

    def _sampler(self, train: Coded) -> NegativeSampler:
        return NegativeSampler(
            train.users, train.items, train.n_users, train.n_items, self.sampling, self.alpha, self.user_ids_
        )

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._drawn_from = self._sampler(train)
        super()._fit(train, validation, progress)

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        drawn = self._drawn_from.draw(train.users, self.negatives, rng)
        examples = {"user": train.users, "item": train.items, "negative": drawn}
        return {name: codes.astype(np.int32) for name, codes in examples.items()}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        """How often an item that was met stands below one that was not."""
        fixed = np.random.default_rng([self.seed, 1])  # the same negatives after every epoch
        drawn = self._drawn_from.draw(validation.users, self.negatives, fixed)
        above = self._predict(validation.users, validation.items, None, None)
        users = np.repeat(validation.users, self.negatives)
        below = self._predict(users, drawn.ravel(), None, None).reshape(drawn.shape)
        return "validation_error", float((above[:, None] <= below).mean())

    # ---------------------------------------------------------------- people it never saw, and ids it does not know

    def _fold_in(self, histories: Coded) -> np.ndarray:
        """Equation (im-bpr-fold-in): the one p that makes a new person's own part of the objective smallest.

        It is the mean over all pairs of an item of the history and one outside it, with the weights that training draws
        them with; items stay as they are. Nobody's history leaves p = 0. Returns (n_users, factors), float32.
        """
        learnt = self._get_parameters()
        q, b = learnt["item_factors"].astype(np.float64), learnt["item_bias"].astype(np.float64)
        found = np.zeros((histories.n_users, self.factors), np.float32)
        X = met(histories)
        for person in range(histories.n_users):
            own = np.zeros(len(q), bool)
            own[X.indices[X.indptr[person] : X.indptr[person + 1]]] = True
            draw = learnt["draw"][~own].astype(np.float64)
            if own.any() and draw.sum() > 0:
                sides = (q[own], b[own]), (q[~own], b[~own])
                found[person] = best_vector(*sides, draw / draw.sum(), self.reg)
        return found

    def _prior(self, users, items, histories):
        """Somebody unknown is the average person, an unknown item the average item."""
        learnt = self._get_parameters()
        p, q, b = (learnt[name] for name in ("user_factors", "item_factors", "item_bias"))
        mean = p.mean(0)
        if histories is not None:
            p = histories.once(self._fold_in)
        p, q, b = np.vstack([p, mean])[users], np.vstack([q, q.mean(0)])[items], np.append(b, b.mean())[items]
        return (p * q).sum(1) + b

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {
            "user_factors": (n_users, self.factors),
            "item_factors": (n_items, self.factors),
            "item_bias": (n_items,),
            "draw": (n_items,),
        }


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
