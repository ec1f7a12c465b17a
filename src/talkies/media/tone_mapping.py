"""High dynamic range to standard: PQ or HLG light of BT.2020 to the gamma-coded RGB of BT.709 that models expect.

Light is in cd/m² throughout. White of 203 cd/m² (BT.2408's reference white) is where standard range ends; what is
brighter is rolled off by the curve of BT.2390, which leaves all below its knee as it is.
"""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from talkies.core import Float64s, UInt8s

REFERENCE_WHITE = 203.0
PEAK = 1000.0
"""The brightest light of the source that keeps detail: the mastering peak of most films, and HLG's nominal one."""

_CODES = 1 << 16
_SHADES = 1 << 12  # steps of linear light before gamma coding

_BT2020_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
"""BT.2087: linear RGB of one to linear RGB of the other."""
_BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)


class Transfer(StrEnum):
    """How a high-dynamic-range picture codes light: SMPTE ST 2084, or hybrid log-gamma (ARIB STD-B67)."""

    PQ = "pq"
    HLG = "hlg"


def pq_light(code: Float64s) -> Float64s:
    """Return the light in cd/m² of PQ code values in [0, 1] (SMPTE ST 2084, equation 4.1)."""
    power = code ** (1 / 78.84375)
    return np.asarray(
        10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    )


def pq_code(light: Float64s) -> Float64s:
    """Return the PQ code value of light in cd/m² (SMPTE ST 2084, equation 5.1)."""
    power = (np.maximum(light, 0) / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg_scene_light(code: Float64s) -> Float64s:
    """Return the scene light in [0, 1] of HLG code values in [0, 1] (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)


def rolled_off(light: Float64s) -> Float64s:
    """Return light of up to `PEAK` brought to at most `REFERENCE_WHITE` (BT.2390, 5.4.1, without black lift)."""
    top = float(pq_code(np.array(PEAK)))
    code = np.minimum(pq_code(light) / top, 1.0)
    most = float(pq_code(np.array(REFERENCE_WHITE))) / top
    knee = 1.5 * most - 0.5
    t = (code - knee) / (1 - knee)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return np.asarray(pq_light(np.where(code < knee, code, bent) * top))


class ToneMapper:
    """Maps pictures of one transfer function; its tables are made once."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        codes = np.linspace(0, 1, _CODES)
        light = pq_light(codes) if transfer is Transfer.PQ else hlg_scene_light(codes)
        self._light = light.astype(np.float32)
        shown = np.linspace(0, 1, _SHADES)
        self._gamma = np.round(255 * shown ** (1 / 2.4)).astype(np.uint8)  # BT.1886
        steps = np.linspace(0, PEAK, _CODES)
        self._gain = np.divide(rolled_off(steps), steps, out=np.ones(_CODES), where=steps > 0).astype(np.float32)

    def __call__(self, rgb_HWC: npt.NDArray[np.uint16]) -> UInt8s:
        """Return a picture `[H, W, 3]` of 16-bit codes as 8-bit red, green, blue of BT.709."""
        light = self._light[rgb_HWC]
        if self._transfer is Transfer.HLG:  # the display's own gamma, BT.2100 table 5
            luminance = light @ _BT2020_LUMINANCE
            light *= (PEAK * np.maximum(luminance, 1e-6) ** 0.2)[..., None]
        # One gain for all three keeps the hue; the brightest of them decides it.
        step = np.minimum(light.max(axis=-1) * ((_CODES - 1) / PEAK), _CODES - 1).astype(np.intp)
        light *= self._gain[step][..., None]
        shown = np.clip((light / REFERENCE_WHITE) @ _BT2020_TO_BT709.T, 0, 1)
        return np.asarray(self._gamma[(shown * (_SHADES - 1) + 0.5).astype(np.intp)])
