"""A test of each topic: formula = torch = keras, planted truth, and the published number."""
