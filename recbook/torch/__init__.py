"""The PyTorch wing: `import recbook.torch as rt`."""

from __future__ import annotations

import os

from recbook.torch import _installed  # noqa: F401  (it says what to do where PyTorch is absent)

# isort: split
from recbook.core.storage import MAX_BYTES
from recbook.recommender import Recommender, restore

# isort: split
# Found in the rooms, and written by `python tasks.py format`:
from recbook.torch.autoencoders import CFGAN, AutoRec, MultVAE
from recbook.torch.ctr import DIN, DeepFM, WideAndDeep
from recbook.torch.decomposition import ALS, PCA, PureSVD
from recbook.torch.embeddings import EmbeddingMLP
from recbook.torch.factorization import NMF, MatrixFactorization, SVDpp
from recbook.torch.factorization_machines import FactorizationMachine, LightFM
from recbook.torch.implicit import BPR, EASE, ImplicitALS
from recbook.torch.logistic import LogisticRegression
from recbook.torch.ncf import GMF, MLP, NeuMF
from recbook.torch.neighbors import ItemKNN, SlopeOne, UserKNN
from recbook.torch.sequences import DecisionPath, GRU4Rec
from recbook.torch.transformers import BERT4Rec, SASRec

__all__ = [
    "ALS",
    "AutoRec",
    "BERT4Rec",
    "BPR",
    "CFGAN",
    "DecisionPath",
    "DeepFM",
    "DIN",
    "EASE",
    "EmbeddingMLP",
    "FactorizationMachine",
    "GMF",
    "GRU4Rec",
    "ImplicitALS",
    "ItemKNN",
    "LightFM",
    "LogisticRegression",
    "MatrixFactorization",
    "MLP",
    "MultVAE",
    "NeuMF",
    "NMF",
    "PCA",
    "PureSVD",
    "SASRec",
    "SlopeOne",
    "SVDpp",
    "UserKNN",
    "WideAndDeep",
    "load",
]
# (end of what was found)


def load(path: str | os.PathLike, *, device: str = "auto", max_bytes: int = MAX_BYTES) -> Recommender:
    """Reads a model that either wing saved, whatever its class; `device` is where it will compute."""
    models = [globals()[name] for name in __all__ if name != "load"]
    return restore(models, path, device, max_bytes)
