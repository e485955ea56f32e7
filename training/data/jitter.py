"""How one crop of a scan differs from the next: HU scale and shift, noise, blur.

On a CPU they are applied while a batch is made. A GPU is handed crops as they were cut, in int16, which are a sixth of
the bytes, and applies them itself: a core that also draws their noise and blurs them makes a third as many crops a
second, and a fast GPU waits for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_ctvlp.encoder.preprocess import windowed

BLURRED = 0.3
"""Share of crops that are blurred."""


@dataclass(frozen=True)
class Jitter:
    """One crop's.

    Attributes
    ----------
    scale, shift : float
        HU become ``scale * HU + shift``.
    noise : float
        Standard deviation of white noise, in HU.
    blur : float
        Share of the mean of 3 x 3 x 3 voxels.
    seed : int
        Of the noise, where a GPU draws it.
    """

    scale: float
    shift: float
    noise: float
    blur: float
    seed: int = 0

    @classmethod
    def drawn(cls, rng: np.random.Generator, seed: int = 0) -> Jitter:
        """Draw one."""
        scale, shift, noise = (float(rng.uniform(low, high)) for low, high in ((0.97, 1.03), (-12, 12), (0, 15)))
        return cls(scale, shift, noise, float(rng.uniform(0, 0.6)) if rng.random() < BLURRED else 0.0, seed)

    def applied(self, hu: Tensor, noise: Tensor) -> Tensor:
        """(I, P, L) float32 HU, with white noise of variance one, to what the windows are put on."""
        hu = hu * self.scale + self.shift + noise * self.noise
        if self.blur:
            mean = F.avg_pool3d(hu[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
            hu = torch.lerp(hu, mean, self.blur)
        return hu


def finished(crops: Tensor, jitters: Sequence[Jitter], windows: Sequence[tuple[float, float]]) -> Tensor:
    """Crops as they were cut to what a network takes, on the device that they are on.

    Parameters
    ----------
    crops : (V, I, P, L) int16
        HU.
    jitters : sequence of Jitter
        One a crop.
    windows : sequence of (float, float)
        HU windows, one a channel.

    Returns
    -------
    Tensor
        (V, C, I, P, L) float32, windowed to -1..1. The noise is a function of the jitter's seed and the kind of device.
    """
    made = []
    for hu, jitter in zip(crops, jitters, strict=True):
        generator = torch.Generator(hu.device).manual_seed(jitter.seed)
        noise = torch.randn(hu.shape, generator=generator, device=hu.device)
        made.append(jitter.applied(hu.float(), noise))
    return windowed(torch.stack(made) if made else crops.float(), windows)
