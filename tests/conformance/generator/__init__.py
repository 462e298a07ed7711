"""`python -m tests.conformance.generator`: writes the generated cases of `tests/conformance/policy`.

Nothing here imports the code under test. What a case expects is written in its table, or follows from a few lines of
arithmetic of its own: `min` and `max` for groups, tuples padded with zeros for versions, instants for dates.
"""
