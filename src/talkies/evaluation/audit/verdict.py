"""The verdict of an audit: rules on the numbers, and an explanation in words."""

from collections.abc import Sequence

from talkies.evaluation.audit.values import AuditedModel, Estimate, ReferenceLevels, Retrieval, Verdict
from talkies.reporting import format_percent

LEAST_FILMS = 3
LEAST_CLIPS_IN_ALL = 48
RELIANCE_AT = 10
LEAST_RELIANCE = 0.5

TITLES: dict[Verdict, str] = {
    "leans_on_film": "leans on the film’s shortcut cues",
    "tells_moments_apart": "tells moments apart within films",
    "cannot_tell": "cannot tell",
}


def has_enough_clips(sizes: Sequence[int]) -> bool:
    """Return whether films of these numbers of clips are enough for a verdict."""
    return len(sizes) >= LEAST_FILMS and sum(sizes) >= LEAST_CLIPS_IN_ALL


def decide_verdict(sizes: Sequence[int], reliance: Estimate, within: Estimate, chance: ReferenceLevels) -> Verdict:
    """Return the verdict on a model.

    1. Fewer than `LEAST_FILMS` films or `LEAST_CLIPS_IN_ALL` clips: cannot tell.
    2. The reliance is surely above 0, and at least `LEAST_RELIANCE`: leans on the film's shortcut cues.
    3. The recall within films is surely above chance: tells moments apart within films.
    4. The reliance is surely above 0: leans on the film's shortcut cues. The little that it finds is the film.
    5. Otherwise: cannot tell.

    *Surely* means that the whole interval is.

    Args:
        sizes: The number of clips of each film.
        reliance: The model's reliance on films.
        within: Its recall at 1 within films.
        chance: The results of guessing.
    """
    recognises_films = reliance.low > 0
    if not has_enough_clips(sizes):
        return "cannot_tell"
    if recognises_films and reliance.mean >= LEAST_RELIANCE:
        return "leans_on_film"
    if within.low > chance.within_film.recall_at_1:
        return "tells_moments_apart"
    return "leans_on_film" if recognises_films else "cannot_tell"


def join_verdicts(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on a model from those on its modalities: the same, or else the more cautious one."""
    if "leans_on_film" in verdicts:
        return "leans_on_film"
    return "cannot_tell" if "cannot_tell" in verdicts else "tells_moments_apart"


def explain_few_clips(sizes: Sequence[int]) -> str:
    """Return the sentence that says that films of these numbers of clips are too few for a verdict."""
    return (
        f"We cannot tell: {len(sizes)} films and {sum(sizes)} clips are too few to judge by "
        f"(at least {LEAST_FILMS} films and {LEAST_CLIPS_IN_ALL} clips)."
    )


def explain_verdict(model: AuditedModel, chance: ReferenceLevels, sizes: Sequence[int]) -> str:
    """Return the verdict and its reasons, for readers who know films and no statistics.

    Args:
        model: The numbers of a model whose pictures and sounds can be compared.
        chance: The results of guessing.
        sizes: The number of clips of each film.
    """
    sentences = (_explain_title(model, chance, sizes), _explain_moments(model, chance), _explain_films(model))
    return " ".join(sentences)


def _explain_title(model: AuditedModel, chance: ReferenceLevels, sizes: Sequence[int]) -> str:
    if model.verdict == "tells_moments_apart":
        return "This model tells moments apart within films: it hears and sees what happens, not only which film it is."
    if model.verdict == "leans_on_film":
        finds_moments = _get_retrieval(model).within_film.both.recall_at_1.low > chance.within_film.recall_at_1
        rest = "and what happens in it only after that" if finds_moments else "not what happens in it"
        return (
            "This model leans on the film’s shortcut cues: when it matches a sound to a picture, it first of all "
            f"recognises the film (its colours, its grain, its music), {rest}."
        )
    if not has_enough_clips(sizes):
        return explain_few_clips(sizes)
    return "We cannot tell: what this model finds may be guessing, both for films and for moments within them."


def _explain_moments(model: AuditedModel, chance: ReferenceLevels) -> str:
    recall, guess = _get_retrieval(model).within_film.both.recall_at_1, chance.within_film.recall_at_1
    if recall.low > guess:
        comparison = "more often than by chance"
    elif recall.high < guess:
        comparison = "less often than by chance"
    else:
        comparison = "which may be chance"
    return (
        f"Given a moment and the sounds of the same film, it picks the right sound first (or the right picture for a "
        f"sound) {_format_share(recall.mean)} of the time; a guess is right {_format_share(guess)} of the time: "
        f"{comparison}."
    )


def _explain_films(model: AuditedModel) -> str:
    reliance = model.film_reliance
    assert reliance is not None, "it is measured with the retrieval"
    with_means = _get_retrieval(model).across_films.both.recall_at_10
    without_means = _get_retrieval(model).across_films_means_removed.both.recall_at_10
    if reliance.low > 0:
        recognised = (
            f"When the sounds of each film are shuffled, it still finds the right film: "
            f"{_format_share(max(0.0, reliance.mean))} of the way from a guess to a model that knows only films."
        )
    else:
        recognised = "When the sounds of each film are shuffled, it may find the right film only by chance."
    return (
        f"{recognised} Without what all clips of a film have in common, the right one is among its best ten of all "
        f"films {_format_share(without_means.mean)} of the time, and with it {_format_share(with_means.mean)}."
    )


def _get_retrieval(model: AuditedModel) -> Retrieval:
    assert model.retrieval is not None, "only models whose pictures and sounds can be compared are explained here"
    return model.retrieval


def _format_share(share: float) -> str:
    return format_percent(share, None)
