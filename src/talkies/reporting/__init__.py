"""Standalone HTML pages, figures and numbers, in one style for every report."""

from talkies.reporting.pages import figure_uri, plain_axes, rendered

__all__ = [
    "figure_uri",
    "plain_axes",
    "rendered",
]
