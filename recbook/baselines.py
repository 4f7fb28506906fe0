"""The yardsticks: models so simple that every other model has to beat them. `recbook.numpy` has them, too."""

from recbook.numpy.introduction import BiasOnly, GlobalMean, Popularity, Random

__all__ = ["BiasOnly", "GlobalMean", "Popularity", "Random"]
