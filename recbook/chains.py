"""Two yardsticks for models of sequences, by counting: a Markov chain, the cascade. `recbook.numpy` has them, too."""

from recbook.numpy.sequences import CascadeModel, MarkovChain

__all__ = ["CascadeModel", "MarkovChain"]
