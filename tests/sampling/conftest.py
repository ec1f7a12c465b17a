"""Property tests draw the same examples in every run, so that a failure is reproducible."""

from hypothesis import settings

settings.register_profile("same-every-time", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("same-every-time")
