"""Sampling plans: spans in, clip requests out; only arithmetic, a pure function of (seed, step, rank, world size)."""

from talkies.sampling.config import SamplingConfig, Stage
from talkies.sampling.films import FilmSpans
from talkies.sampling.plan import BatchPlan, within_film_share
from talkies.sampling.requests import BatchRequests

__all__ = ["BatchPlan", "BatchRequests", "FilmSpans", "SamplingConfig", "Stage", "within_film_share"]
