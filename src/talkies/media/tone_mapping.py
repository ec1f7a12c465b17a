"""Tone-map HDR pictures to SDR: PQ or HLG in BT.2020 to the gamma-encoded BT.709 RGB that models expect.

Luminance is in cd/m² throughout. SDR ends at BT.2408's reference white of 203 cd/m²; brighter highlights are compressed
with the curve of BT.2390, which leaves everything below its knee unchanged.
"""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from talkies.core import Float64s, UInt8s

REFERENCE_WHITE = 203.0
PEAK = 1000.0
"""The luminance above which detail is lost: the mastering peak of most films, and HLG's nominal peak."""

_CODE_VALUES = 1 << 16  # of a 16-bit picture
_GAMMA_STEPS = 1 << 12  # of linear light, in the table for gamma encoding

_BT2020_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
"""Linear RGB to linear RGB (BT.2087)."""
_BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)


class HdrTransfer(StrEnum):
    """The transfer function of an HDR picture: SMPTE ST 2084 (PQ) or ARIB STD-B67 (hybrid log-gamma)."""

    PQ = "pq"
    HLG = "hlg"


def pq_eotf(code: Float64s) -> Float64s:
    """Return the luminance in cd/m² of PQ code values in [0, 1] (SMPTE ST 2084, equation 4.1)."""
    power = code ** (1 / 78.84375)
    return np.asarray(
        10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    )


def pq_inverse_eotf(luminance: Float64s) -> Float64s:
    """Return the PQ code value in [0, 1] of luminance in cd/m² (SMPTE ST 2084, equation 5.1)."""
    power = (np.maximum(luminance, 0) / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg_inverse_oetf(code: Float64s) -> Float64s:
    """Return the scene light in [0, 1] of HLG code values in [0, 1] (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)


def compress_highlights(luminance: Float64s) -> Float64s:
    """Return luminance of up to `PEAK` compressed to at most `REFERENCE_WHITE` (BT.2390, 5.4.1, no black lift)."""
    # Work in PQ codes relative to the code of `PEAK`.
    peak_code = float(pq_inverse_eotf(np.array(PEAK)))
    code = np.minimum(pq_inverse_eotf(luminance) / peak_code, 1.0)
    max_code = float(pq_inverse_eotf(np.array(REFERENCE_WHITE))) / peak_code

    # Above the knee, a Hermite spline.
    knee = 1.5 * max_code - 0.5
    t = (code - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * max_code
    return np.asarray(pq_eotf(np.where(code < knee, code, spline) * peak_code))


class ToneMapper:
    """Maps pictures of one HDR transfer function to SDR with lookup tables that are computed once."""

    def __init__(self, transfer: HdrTransfer) -> None:
        self._transfer = transfer

        # From a code value to linear light: luminance for PQ, scene light for HLG.
        codes = np.linspace(0, 1, _CODE_VALUES)
        light = pq_eotf(codes) if transfer is HdrTransfer.PQ else hlg_inverse_oetf(codes)
        self._light = light.astype(np.float32)

        # From luminance to the factor that compresses it.
        luminance = np.linspace(0, PEAK, _CODE_VALUES)
        gain = np.divide(compress_highlights(luminance), luminance, out=np.ones(_CODE_VALUES), where=luminance > 0)
        self._gain = gain.astype(np.float32)

        # From linear light in [0, 1] to 8-bit gamma-encoded values (BT.1886).
        linear = np.linspace(0, 1, _GAMMA_STEPS)
        self._gamma = np.round(255 * linear ** (1 / 2.4)).astype(np.uint8)

    def __call__(self, rgb_HWC: npt.NDArray[np.uint16]) -> UInt8s:
        """Return a picture `[H, W, 3]` of 16-bit code values as 8-bit RGB in BT.709."""
        light = self._light[rgb_HWC]
        if self._transfer is HdrTransfer.HLG:  # apply the gamma of the display (BT.2100, table 5)
            luminance = light @ _BT2020_LUMINANCE
            light *= (PEAK * np.maximum(luminance, 1e-6) ** 0.2)[..., None]

        # One gain for all three channels keeps the hue; the brightest channel decides it.
        index = np.minimum(light.max(axis=-1) * ((_CODE_VALUES - 1) / PEAK), _CODE_VALUES - 1).astype(np.intp)
        light *= self._gain[index][..., None]

        linear = np.clip((light / REFERENCE_WHITE) @ _BT2020_TO_BT709.T, 0, 1)
        return np.asarray(self._gamma[(linear * (_GAMMA_STEPS - 1) + 0.5).astype(np.intp)])
