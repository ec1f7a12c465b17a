"""Sampling plans: spans in, clip requests out; arithmetic only, a pure function of (seed, step)."""

from talkies.sampling.config import SamplingConfig
from talkies.sampling.films import FilmSpans
from talkies.sampling.plan import BatchPlan, within_film_share

__all__ = ["BatchPlan", "FilmSpans", "SamplingConfig", "within_film_share"]
