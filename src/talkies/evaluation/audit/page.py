"""The page of an audit, one HTML file without links: the verdict in words, the figures, the table, the films."""

from talkies.evaluation.audit.explanation import make_title
from talkies.evaluation.audit.figures import draw_lift, draw_neighbours, draw_probes, draw_retrieval
from talkies.evaluation.audit.tables import make_sections, name_columns
from talkies.evaluation.audit.values import Audit
from talkies.evaluation.audit.verdict import (
    LEAST_CLIPS_IN_ALL,
    LEAST_FILMS,
    LEAST_RELIANCE,
    RELIANCE_AT,
    TITLES,
)
from talkies.reporting import render_page


def render_audit_page(audit: Audit) -> str:
    """Return the page: the same bytes for the same audit."""
    joint = audit.trained.retrieval is not None
    return render_page(
        "talkies.evaluation.audit",
        "audit.html",
        audit=audit,
        title=make_title(audit),
        columns=name_columns(audit),
        titles=TITLES,
        sections=make_sections(audit),
        probes=draw_probes(audit),
        retrieval=draw_retrieval(audit) if joint else None,
        lift=draw_lift(audit) if joint else None,
        neighbours=draw_neighbours(audit) if audit.trained.neighbours else None,
        clips=sum(film.clips for film in audit.films),
        least_films=LEAST_FILMS,
        least_clips=LEAST_CLIPS_IN_ALL,
        least_reliance=LEAST_RELIANCE,
        reliance_at=RELIANCE_AT,
    )
