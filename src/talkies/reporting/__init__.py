"""Standalone HTML pages, figures and numbers, in one style for every report."""

from talkies.reporting.numbers import format_clock, format_percent
from talkies.reporting.pages import encode_figure, style_axes, render_page

__all__ = [
    "encode_figure",
    "format_clock",
    "format_percent",
    "style_axes",
    "render_page",
]
