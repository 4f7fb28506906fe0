"""The third, smallest wing: yardsticks and models that need no framework. `import recbook.numpy as rn`."""

from recbook.numpy.introduction import BiasOnly, GlobalMean, Popularity, Random
from recbook.numpy.sequences import CascadeModel, MarkovChain

__all__ = ["BiasOnly", "CascadeModel", "GlobalMean", "MarkovChain", "Popularity", "Random"]
