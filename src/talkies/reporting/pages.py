"""Standalone HTML pages in one style, with their figures inside."""

import base64
import io
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from talkies.core import escape_controls

if TYPE_CHECKING:  # matplotlib is imported only where figures are drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def render_page(package: str, template: str, **values: object) -> str:
    """Return a page as HTML: the same text for the same values.

    Args:
        package: the package whose `templates` folder holds the template.
        template: the template's file name; it extends `page.html` of this package.
        values: the template's variables.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader  # numbers are formatted without it

    loader = ChoiceLoader([PackageLoader(package), PackageLoader("talkies.reporting")])
    environment = Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_escape_text
    )
    return environment.get_template(template).render(version=version("talkies"), **values)


def _escape_text(value: object) -> object:
    """Escape what would make a name misleading; markup that a template made is left as it is."""
    from markupsafe import Markup

    if isinstance(value, str) and not isinstance(value, Markup):
        return escape_controls(value, keep_newlines=True)
    return value


def encode_figure(figure: "Figure") -> str:
    """Return a figure as a data URI that holds an SVG without a date, for the `src` of an image."""
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(data.getvalue()).decode()}"


def style_axes(axes: "Axes", grid: Literal["x", "y"]) -> None:
    """Remove the top and right of a panel's frame, and draw a pale grid across one axis."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, alpha=0.25)
