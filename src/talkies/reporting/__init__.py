"""Standalone HTML pages, figures and numbers, in one style for every report."""

from talkies.reporting.numbers import format_clock, format_percent
from talkies.reporting.pages import encode_figure, render_page, style_axes

__all__ = [
    "encode_figure",
    "format_clock",
    "format_percent",
    "render_page",
    "style_axes",
]
