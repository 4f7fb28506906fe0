"""Measures: how far ratings are off, how good the top of a list is, and what lists do to a catalogue.

Measures of ratings, labels and probabilities take lists of pairs and give one number. Measures of lists take a
matrix of scores, and one of what is relevant, and give one value a user: the mean over users is the
caller's (`evaluate` takes it).

An item whose score is -inf is no candidate: it is never in a list. What is relevant and no candidate
still counts as relevant, and is missed.

Ties. A model that gives two items one score has not said which comes first. With ties="expected" a
measure is its exact expected value over all orders within each tie; with ties="first" the item
in the lower column comes first, as in `recommend`.
"""

from recbook.metrics._catalogue import (
    coverage_at_k,
    diversity_at_k,
    gini,
    gini_at_k,
    inclusion_at_k,
    novelty_at_k,
)
from recbook.metrics._clicks import (
    GroupedAUC,
    Reliability,
    auc,
    auc_by_group,
    calibration_error,
    gauc,
    log_loss,
    log_losses,
    reliability,
)
from recbook.metrics._labels import accuracy, f1, precision, recall
from recbook.metrics._lists import (
    BY_PLACES,
    accuracy_at_k,
    average_precision_at_k,
    f1_at_k,
    hit_rate_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank_at_k,
)
from recbook.metrics._places import TIES, Places
from recbook.metrics._ratings import mae, mse, rmse

__all__ = [
    "BY_PLACES",
    "GroupedAUC",
    "Places",
    "Reliability",
    "TIES",
    "accuracy",
    "accuracy_at_k",
    "auc",
    "auc_by_group",
    "average_precision_at_k",
    "calibration_error",
    "coverage_at_k",
    "diversity_at_k",
    "f1",
    "f1_at_k",
    "gauc",
    "gini",
    "gini_at_k",
    "hit_rate_at_k",
    "inclusion_at_k",
    "log_loss",
    "log_losses",
    "mae",
    "mse",
    "ndcg_at_k",
    "novelty_at_k",
    "precision",
    "precision_at_k",
    "recall",
    "recall_at_k",
    "reciprocal_rank_at_k",
    "reliability",
    "rmse",
]
