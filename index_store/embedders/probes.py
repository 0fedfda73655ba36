"""A fingerprint of a model's answers to fixed texts, which tells one model from another."""

import hashlib

import numpy as np
import numpy.typing as npt

PROBES = (
    "The night press prints what the day has written.",
    "Le préavis de démission est fixé par la convention collective.",
    "7 apples, 12 pears",
)
_MOST_PROBED = 12  # components of a probe's vector that may enter the fingerprint


def fingerprint(probes: npt.NDArray[np.float64]) -> str:
    """Return 16 hexadecimal characters that small numerical noise does not change.

    Args:
        probes: Vectors of the fixed texts, float64, shape (texts, dimension).

    Returns:
        A hash of the places and signs of each vector's largest components, as many as stand before
        the widest gap in size, where noise cannot exchange them.
    """
    parts = [f"{probes.shape[1]}"]
    for probe in probes:
        order = np.argsort(-np.abs(probe), kind="stable")[: _MOST_PROBED + 1]
        gaps = -np.diff(np.abs(probe)[order])
        count = int(np.argmax(gaps)) + 1 if len(gaps) else 1
        parts += sorted(f"{index}{'+' if probe[index] > 0 else '-'}" for index in order[:count])
        parts.append("")
    return hashlib.sha256(",".join(parts).encode()).hexdigest()[:16]
