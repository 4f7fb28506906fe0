"""The tests. A package, so that pytest finds the notebook plugin by its name: -p tests.helpers.nbval_tolerance."""
