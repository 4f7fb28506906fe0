"""The Keras wing: `import recbook.keras as rk`."""

from __future__ import annotations

import os

from recbook.keras import _backend  # noqa: F401  (it chooses a backend, before anything imports Keras)

# isort: split
from recbook.core.storage import MAX_BYTES
from recbook.recommender import Recommender, restore

# isort: split
# Found in the rooms, and written by `python tasks.py format`:
from recbook.keras.autoencoders import CFGAN, AutoRec, MultVAE
from recbook.keras.ctr import DIN, DeepFM, WideAndDeep
from recbook.keras.decomposition import ALS, PCA, PureSVD
from recbook.keras.embeddings import EmbeddingMLP
from recbook.keras.factorization import NMF, MatrixFactorization, SVDpp
from recbook.keras.factorization_machines import FactorizationMachine, LightFM
from recbook.keras.implicit import BPR, EASE, ImplicitALS
from recbook.keras.logistic import LogisticRegression
from recbook.keras.ncf import GMF, MLP, NeuMF
from recbook.keras.neighbors import ItemKNN, SlopeOne, UserKNN
from recbook.keras.sequences import DecisionPath, GRU4Rec
from recbook.keras.transformers import BERT4Rec, SASRec

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
