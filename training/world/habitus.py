"""The build of one body: size, sex, fat, and the profiles that bound skin, muscle wall, chest and diaphragm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.world.shapes import Float

TOP, BOTTOM = -385.0, 345.0
"""Nominal i (mm) of the lower neck and of the upper thighs."""

VERTEBRAE = (
    "T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 L1 L2 L3 L4 L5 S1".split()  # noqa: SIM905 (a table is easier to read so)
)
VERTEBRA_I = (-354, -336, -317, -297, -276, -254, -231, -207, -182, -156, -129, -100, -68, -34, 0, 36, 69, 97)
VERTEBRA_P = (8, 19, 28, 35, 40, 43, 43, 41, 37, 31, 23, 13, 3, -8, -15, -16, -8, 12)
"""Centres of the vertebral bodies: an adult spine lying supine, thoracic kyphosis and lumbar lordosis."""

# i, half-width, front p, back p: of the body cavity (inside ribs, abdominal wall, pelvis), of the muscle surface
_CAVITY = np.array(
    [
        (-352, 22, -8, 34),
        (-340, 48, -30, 52),
        (-318, 80, -52, 66),
        (-290, 102, -72, 76),
        (-250, 121, -92, 85),
        (-210, 130, -104, 89),
        (-170, 135, -111, 89),
        (-130, 136, -116, 84),
        (-90, 134, -116, 79),
        (-50, 131, -112, 73),
        (0, 128, -107, 66),
        (40, 126, -104, 60),
        (80, 116, -99, 60),
        (110, 101, -94, 68),
        (140, 80, -88, 76),
        (170, 60, -82, 76),
        (200, 46, -74, 70),
        (220, 30, -56, 60),
        (236, 16, -30, 50),
    ]
)
_LEAN = np.array(
    [
        (-390, 62, -42, 62),
        (-368, 84, -46, 82),
        (-350, 128, -56, 96),
        (-330, 152, -76, 106),
        (-300, 160, -96, 112),
        (-250, 161, -117, 116),
        (-200, 158, -125, 114),
        (-150, 154, -129, 110),
        (-100, 151, -129, 103),
        (-50, 147, -125, 93),
        (0, 144, -118, 86),
        (40, 144, -114, 83),
        (80, 149, -109, 90),
        (120, 156, -105, 100),
        (160, 161, -102, 103),
        (200, 165, -97, 100),
        (240, 162, -88, 94),
        (280, 158, -80, 88),
        (350, 150, -74, 82),
    ]
)


@dataclass(frozen=True)
class Habitus:
    """Drawn once per body; lengths are nominal mm, ``scale`` turns nominal into real mm along i, p, l."""

    sex: Literal["female", "male"]
    scale: tuple[float, float, float]
    fat: float
    visceral: float
    muscle: float
    curve: tuple[float, float]
    breath: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Habitus:
        """A random build; women are a little smaller, with more subcutaneous and less visceral fat."""
        sex: Literal["female", "male"] = "female" if rng.random() < 0.5 else "male"
        size = rng.normal(0.935 if sex == "female" else 0.995, 0.035)
        plump = float(rng.beta(1.7, 2.2))
        width = size * (1 + 0.13 * (plump - 0.35) + rng.normal(0, 0.025))
        depth = size * (1 + 0.22 * (plump - 0.35) + rng.normal(0, 0.035))
        fat = 5 + (34 if sex == "female" else 25) * plump * rng.uniform(0.6, 1.2)
        visceral = (4 + 26 * plump) * rng.uniform(0.4, 1.2) * (0.7 if sex == "female" else 1.0)
        return Habitus(
            sex,
            (
                float(np.clip(size * rng.normal(1, 0.02), 0.86, 1.14)),
                float(np.clip(depth, 0.82, 1.25)),
                float(np.clip(width, 0.85, 1.22)),
            ),
            fat,
            visceral,
            float(rng.uniform(0.75, 1.15)),
            (float(rng.normal(0, 5)), float(rng.uniform(0.8, 1.2))),
            float(rng.normal(0, 10)),
        )

    def spine(self, i: NDArray | float) -> tuple[NDArray, NDArray]:
        """(p, l) of the vertebral bodies' centre line at height i: kyphosis and lordosis, with a slight scoliosis."""
        mean = float(np.mean(VERTEBRA_P))
        p = mean + self.curve[1] * np.asarray(np.interp(i, VERTEBRA_I, VERTEBRA_P) - mean)
        return p, np.asarray(self.curve[0] * np.sin((np.asarray(i, float) + 350) / 450 * np.pi))

    def vertebra(self, name: str) -> NDArray[np.float64]:
        """Centre (i, p, l) of a vertebral body."""
        i = float(VERTEBRA_I[VERTEBRAE.index(name)])
        p, x = self.spine(i)
        return np.array([i, float(p), float(x)])

    def dome(self, p: NDArray, x: NDArray) -> Float:
        """Height i of the diaphragm over (p, l): two domes and a central tendon that falls off to the chest wall."""
        drop = np.where(p > -10, 96 * np.abs((p + 10) / 98) ** 2.2, 42 * np.abs((p + 10) / 100) ** 2.0)
        b = self.breath
        right = -186 + b + 78 * np.abs((x + 66) / 68) ** 2.2 + drop
        left = -170 + b + 72 * np.abs((x - 70) / 66) ** 2.2 + drop
        middle = -157 + b + 60 * np.abs((x - 5) / 75) ** 2.0 + 0.8 * drop
        return np.minimum(np.minimum(right, left), middle).astype(np.float32)


def outline(table: NDArray, i: Float, p: Float, x: Float, grow: Float | float = 0.0, power: float = 2.35) -> Float:
    """Normalised radius (1 on the surface) of a profile table at open coordinates, the surface moved out by ``grow``
    mm."""
    w, f, b = (np.interp(i, table[:, 0], table[:, k]).astype(np.float32) for k in (1, 2, 3))
    middle = 0.35 * f + 0.65 * b
    half = np.where(p < middle, middle - f, b - middle) + grow
    q = np.float32(power)
    return (np.abs(x / (w + grow)) ** q + np.abs((p - middle) / half) ** q) ** np.float32(1 / power)


def cavity_point(i: float, angle: float, grow: float = 0.0, power: float = 2.35) -> tuple[float, float]:
    """(p, l) on the cavity's surface at height i; angle 0 is straight back, 90 degrees the left flank, 180 the
    front."""
    w, f, b = (float(np.interp(i, _CAVITY[:, 0], _CAVITY[:, k])) for k in (1, 2, 3))
    middle = 0.35 * f + 0.65 * b
    c, s = float(np.cos(angle)), float(np.sin(angle))
    half = (b - middle if c > 0 else middle - f) + grow
    radius = (abs(s / (w + grow)) ** power + abs(c / half) ** power) ** (-1 / power)
    return middle + radius * c, radius * s


def cavity(i: Float, p: Float, x: Float, grow: float = 0.0) -> Float:
    """Normalised radius of the body cavity; 0 ends above the lung apices and below the pelvic floor."""
    r = outline(_CAVITY, i, p, x, grow)
    return np.where((i < _CAVITY[0, 0] - 4) | (i > _CAVITY[-1, 0]), np.float32(9), r)


def lean(i: Float, p: Float, x: Float, grow: Float | float = 0.0) -> Float:
    """Normalised radius of the muscle surface, or of the skin when grown by the fat's thickness; two thighs below the
    groin."""
    r = outline(_LEAN, i, p, x, grow, 2.3)
    leg = np.clip((i - 232) / 44, 0, 1)
    axis = np.interp(i, [230, 300, 350], [80, 82, 80])
    thigh = np.abs((np.abs(x) - axis) / (78 + grow)) ** 2.3 + np.abs((p - 3) / (83 + grow)) ** 2.3
    apart = np.where((i > 262) & (np.abs(x) < 3.0), np.float32(9), thigh ** (1 / 2.3))
    return np.where(i > 232, (1 - leg) * r + leg * np.minimum(apart, 9), r).astype(np.float32)
