"""The audit as one HTML file without links: the verdict in words, the figures, the table, the films."""

from talkies.evaluation.audit.figures import lift_figure, probe_figure, retrieval_figure
from talkies.evaluation.audit.tables import sections
from talkies.evaluation.audit.values import Audit
from talkies.evaluation.audit.verdict import (
    LEANS_FROM,
    LEAST_CLIPS_IN_ALL,
    LEAST_FILMS,
    RELIANCE_AT,
    TITLES,
)
from talkies.reporting.pages import render_page


def page_of(found: Audit) -> str:
    """Return the page: the same bytes for the same audit."""
    return render_page(
        "talkies.evaluation.audit",
        "audit.html",
        found=found,
        title=TITLES[found.verdict],
        sections=sections(found),
        probes=probe_figure(found),
        retrieval=retrieval_figure(found),
        lift=lift_figure(found),
        clips=sum(film.clips for film in found.films),
        least_films=LEAST_FILMS,
        least_clips=LEAST_CLIPS_IN_ALL,
        leans_from=LEANS_FROM,
        reliance_at=RELIANCE_AT,
    )
