"""The verdict: rules on the numbers, and what they say in words."""

from collections.abc import Sequence

from talkies.evaluation.audit.values import AuditedModel, Estimate, Verdict, Yardsticks

LEAST_FILMS = 3
LEAST_CLIPS_IN_ALL = 48
RELIANCE_AT = 10
LEANS_FROM = 0.5

TITLES: dict[Verdict, str] = {
    "leans_on_film": "leans on the film’s marks",
    "tells_moments_apart": "tells moments apart within films",
    "cannot_tell": "cannot tell",
}


def enough(sizes: Sequence[int]) -> bool:
    """Return whether so many films of so many clips can bear a verdict."""
    return len(sizes) >= LEAST_FILMS and sum(sizes) >= LEAST_CLIPS_IN_ALL


def verdict_of(sizes: Sequence[int], reliance: Estimate, within: Estimate, chance: Yardsticks) -> Verdict:
    """Return the verdict on a model from its reliance on films and its recall at 1 within films.

    1. Fewer than `LEAST_FILMS` films or `LEAST_CLIPS_IN_ALL` clips: cannot tell.
    2. The reliance is surely above 0, and at least `LEANS_FROM`: leans on the film's marks.
    3. The recall within films is surely above chance: tells moments apart within films.
    4. The reliance is surely above 0: leans on the film's marks. What little is found is the film.
    5. Otherwise: cannot tell.

    *Surely* means that the whole interval is.
    """
    recognises = reliance.low > 0
    if not enough(sizes):
        return "cannot_tell"
    if recognises and reliance.mean >= LEANS_FROM:
        return "leans_on_film"
    if within.low > chance.within_film.recall_at_1:
        return "tells_moments_apart"
    return "leans_on_film" if recognises else "cannot_tell"


def words_of(model: AuditedModel, untrained: AuditedModel, chance: Yardsticks, sizes: Sequence[int]) -> str:
    """Return a paragraph that says the verdict and its reasons to somebody who knows films, and no statistics."""
    return " ".join([_verdict(model, chance, sizes), _moments(model, chance), _films(model), _probe(model, untrained)])


def _verdict(model: AuditedModel, chance: Yardsticks, sizes: Sequence[int]) -> str:
    if model.verdict == "tells_moments_apart":
        return "This model tells moments apart within films: it hears and sees what happens, not only which film it is."
    if model.verdict == "leans_on_film":
        tells = model.retrieval.within_film.both.recall_at_1.low > chance.within_film.recall_at_1
        rest = "and what happens in it only after that" if tells else "not what happens in it"
        return (
            "This model leans on the film’s marks: when it matches a sound to a picture, it first of all recognises "
            f"the film (its colours, its grain, its music), {rest}."
        )
    if not enough(sizes):
        return (
            f"We cannot tell: {len(sizes)} films and {sum(sizes)} clips are too few to judge by "
            f"(at least {LEAST_FILMS} films and {LEAST_CLIPS_IN_ALL} clips)."
        )
    return "We cannot tell: what this model finds could as well be a guess, for films and for moments within them."


def _moments(model: AuditedModel, chance: Yardsticks) -> str:
    found, guess = model.retrieval.within_film.both.recall_at_1, chance.within_film.recall_at_1
    if found.low > guess:
        judged = "more often than by chance"
    elif found.high < guess:
        judged = "less often than by chance"
    else:
        judged = "which may be chance"
    return (
        f"Shown a moment and the sounds of that same film, it picks the right sound first (or the right picture for a "
        f"sound) {_percent(found.mean)} of the time; a guess is right {_percent(guess)} of the time: {judged}."
    )


def _films(model: AuditedModel) -> str:
    reliance, bare = model.film_reliance, model.retrieval.across_films_means_removed.both.recall_at_10
    before = model.retrieval.across_films.both.recall_at_10
    if reliance.low > 0:
        recognised = (
            f"When the sounds of each film are shuffled, it still sends us to the right film: "
            f"{_percent(max(0.0, reliance.mean))} of the way from a guess to a model that knows films and nothing else."
        )
    else:
        recognised = "When the sounds of each film are shuffled, it does not surely find the right film any more."
    return (
        f"{recognised} With what is common to each film taken away, the right one is among its best ten of all films "
        f"{_percent(bare.mean)} of the time, and {_percent(before.mean)} before."
    )


def _probe(model: AuditedModel, untrained: AuditedModel) -> str:
    own, before = model.film_probe, untrained.film_probe
    return (
        f"The film can still be told from its description of the pictures in {_percent(own.video_embeddings.mean)} of "
        f"the clips ({_percent(before.video_embeddings.mean)} before training) and of the sound in "
        f"{_percent(own.audio_embeddings.mean)} ({_percent(before.audio_embeddings.mean)}); this alone is no fault."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"
