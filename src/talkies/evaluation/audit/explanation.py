"""The explanation of an audit whose pictures and sounds are judged each by themselves, and what titles say."""

from collections.abc import Collection, Mapping, Sequence

from talkies.core import Modality
from talkies.evaluation.audit.values import Audit, AuditedModel, Comparison, Neighbours
from talkies.evaluation.audit.verdict import TITLES, explain_few_clips, has_enough_clips
from talkies.reporting import format_percent

NAMES: Mapping[Modality, str] = {"video": "pictures", "audio": "sounds"}
_CUE_WORDS: Mapping[Modality, str] = {"video": "the palette", "audio": "the mean spectrum"}


def make_title(audit: Audit) -> str:
    """Return the verdict as a title; of modalities with different verdicts, that of each."""
    model = audit.trained
    verdicts = {modality: neighbours.verdict for modality, neighbours in model.neighbours.items()}
    if model.retrieval is not None or len(set(verdicts.values())) < 2:
        return TITLES[audit.verdict]
    return "; ".join(f"{NAMES[modality]}: {TITLES[verdict]}" for modality, verdict in verdicts.items())


def explain_modalities(
    model: AuditedModel,
    cues: Mapping[Modality, Neighbours],
    sizes: Sequence[int],
    reason: str,
) -> str:
    """Return a paragraph with the verdict on each modality, for readers who know films and no statistics.

    Args:
        model: The numbers of the model.
        cues: What the palette and the mean spectrum find.
        sizes: The number of clips of each film.
        reason: Why pictures are not compared with sounds.
    """
    if not has_enough_clips(sizes):
        return f"{explain_few_clips(sizes)} {_explain_question(reason)}"
    sentences = [_explain_question(reason)]
    sentences += [_explain_modality(modality, own, cues[modality]) for modality, own in model.neighbours.items()]
    return " ".join(sentences)


def explain_origin(compared_with: Comparison) -> str:
    """Return the sentence on where public encoders come from, and what they are compared with."""
    twin = (
        " They are compared with a twin whose weights are the same numbers in random order: what it finds, the "
        "architecture finds without having learnt anything."
    )
    return "Others trained these encoders, and talkies trained nothing of them." + (
        twin if compared_with == "shuffled weights" else ""
    )


def explain_probe(model: AuditedModel, other: AuditedModel | None, compared_with: Comparison) -> str:
    """Return the sentence on how well the film can be identified from each modality's embeddings."""
    words = "before training" if compared_with == "untrained" else "with its weights shuffled"
    parts = []
    for modality in model.neighbours:
        own = getattr(model.film_probe, f"{modality}_embeddings")
        before = getattr(other.film_probe, f"{modality}_embeddings") if other else None
        share = _format_share(own.mean)
        compared = f" ({_format_share(before.mean)} {words})" if before else ""
        parts.append(f"of the {NAMES[modality]} in {share} of the clips{compared}")
    return f"The film can still be identified from its description {' and '.join(parts)}; this is no problem in itself."


def _explain_question(reason: str) -> str:
    return (
        f"Sounds are not matched to pictures here, because {reason}. Instead, each clip is asked for the clip next to "
        "it in its film."
    )


def _explain_modality(modality: Modality, own: Neighbours, cue: Neighbours) -> str:
    """Return the verdict on one modality, with its reasons."""
    what, cue_words = NAMES[modality], _CUE_WORDS[modality]
    found = (
        f"among those of the same film it finds it first {_format_share(own.within_film.recall_at_1.mean)} of the "
        f"time, {cue_words} alone {_format_share(cue.within_film.recall_at_1.mean)}, and a guess "
        f"{_format_share(own.chance.recall_at_1)}"
    )
    match own.verdict:
        case "tells_moments_apart":
            return f"By its {what}, this model tells moments apart within films, and not only by {cue_words}: {found}."
        case "leans_on_film":
            reliance = _format_share(max(0.0, own.film_reliance.mean))
            return (
                f"By its {what}, this model merely recognises films: {found}, which may be chance; but the film it "
                f"finds, {reliance} of the way from a guess to a model that knows only films."
            )
        case "cannot_tell":
            if own.within_film.recall_at_1.low <= own.chance.recall_at_1:
                return f"Of its {what} we cannot tell: {found}, which may be chance, for films as for moments."
            return (
                f"Of its {what} we cannot tell: {found}. It finds moments, but not surely more often than {cue_words}, "
                "so it may go by no more than that."
            )


def _format_share(share: float) -> str:
    return format_percent(share, None)


def explain_learnt_films(film_ids: Sequence[str], learnt: Collection[str]) -> str | None:
    """Return the sentence that a run may know audited films by heart; None if it has learnt from none of them."""
    count = sum(film_id in learnt for film_id in film_ids)
    if not count:
        return None
    return (
        f"The run has learnt from {count} of these {len(film_ids)} films and may know their moments by heart: how it "
        "does on other films, an audit of a library that it has not learnt from tells."
    )
