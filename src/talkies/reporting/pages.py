"""Pages of HTML that stand alone: one look for all of them, and figures inside."""

import base64
import io
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # who draws has imported it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def render_page(package: str, template: str, **values: object) -> str:
    """Return a page from a room's `templates`, which extends `page.html`: the same bytes for the same values."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader  # only pages need templates, numbers do not

    loader = ChoiceLoader([PackageLoader(package), PackageLoader("talkies.reporting")])
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(version=version("talkies"), **values)


def encode_figure(figure: "Figure") -> str:
    """Return a figure as the data URI of an SVG, without a date in it."""
    data = io.BytesIO()
    figure.savefig(data, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(data.getvalue()).decode()}"


def style_axes(axes: "Axes", grid: Literal["x", "y"]) -> None:
    """Leave of a panel's frame what is needed, and draw a pale grid across one axis."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, alpha=0.25)
