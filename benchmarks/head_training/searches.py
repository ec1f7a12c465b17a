"""Searches with a known answer: sounds of the same class, the moment of an excerpt, and the scene of a clip.

Shapes: `N` clips or sounds, `Q` queries, `D` embedding.
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional

from head_training.features import FPS, SoundFeatures
from talkies.core import Float64s, Int64s

BEST = 10
SCENE_SECONDS = 10
_NEAREST = 5
_MOMENT_SECONDS = 1.0


def share_same_class(rows_ND: Tensor, sounds: SoundFeatures) -> Float64s:
    """Return for each sound the share of its ten most similar sounds of the other folds that are of its class."""
    rows_ND = functional.normalize(rows_ND)
    scores_NN = (rows_ND @ rows_ND.T).numpy()
    scores_NN[sounds.fold_N[:, None] == sounds.fold_N[None]] = -np.inf
    best_NK = np.argsort(-scores_NN, axis=1, kind="stable")[:, :BEST]
    same: Float64s = (sounds.label_N[best_NK] == sounds.label_N[:, None]).mean(1)
    return same


def probe_classes(rows_ND: Tensor, sounds: SoundFeatures) -> Float64s:
    """Return for each sound whether a linear probe, fitted on the other folds, finds its class."""
    right_N = np.zeros(len(rows_ND))
    for fold in np.unique(sounds.fold_N):
        test_N = sounds.fold_N == fold
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        probe.fit(rows_ND[~test_N].numpy(), sounds.label_N[~test_N])
        right_N[test_N] = probe.predict(rows_ND[test_N].numpy()) == sounds.label_N[test_N]
    return right_N


def find_moments(query_QD: Tensor, film_ND: Tensor, query_frame_Q: Int64s, film_frame_N: Int64s) -> Float64s:
    """Return for each clip of an excerpt whether the most similar clip of the film starts within 1 s of its moment.

    Args:
        query_QD: the excerpt's clips.
        film_ND: the film's clips.
        query_frame_Q: the film's frame at which each of the excerpt's clips starts.
        film_frame_N: the frame at which each clip of the film starts.
    """
    scores_QN = functional.normalize(query_QD) @ functional.normalize(film_ND).T
    found_Q = film_frame_N[scores_QN.argmax(1).numpy()]
    return (np.abs(found_Q - query_frame_Q) <= _MOMENT_SECONDS * FPS).astype(np.float64)


def find_offset(query_QD: Tensor, film_ND: Tensor, query_start_Q: Int64s, film_frame_N: Int64s) -> int:
    """Return the frame of the film at which an excerpt starts: where most of its clips find their likes."""
    scores_QN = functional.normalize(query_QD) @ functional.normalize(film_ND).T
    offsets_Q = film_frame_N[scores_QN.argmax(1).numpy()] - query_start_Q
    return int(np.median(offsets_Q))


def share_same_scene(rows_ND: Tensor, start_N: Int64s) -> tuple[Float64s, float]:
    """Return for each clip the share of its five most similar clips that are within 10 s of it, and that of a guess.

    Args:
        rows_ND: unit vectors of clips of a held-out part, end to end.
        start_N: the frame at which each clip starts.
    """
    scores_NN = (rows_ND @ rows_ND.T).clone()
    scores_NN.fill_diagonal_(-torch.inf)
    near_NN = np.abs(start_N[:, None] - start_N[None]) <= SCENE_SECONDS * FPS
    best_NK = scores_NN.topk(_NEAREST, dim=1).indices.numpy()
    share_N: Float64s = np.take_along_axis(near_NN, best_NK, axis=1).mean(1)
    others = near_NN.sum() - len(start_N)
    return share_N, float(others / (len(start_N) * (len(start_N) - 1)))
