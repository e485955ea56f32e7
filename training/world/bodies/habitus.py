"""The build of one body: size, sex, fat, and the profiles that bound skin, muscle wall, chest and diaphragm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.world.bodies.body import Sex
from training.world.bodies.shapes import Float

TOP, BOTTOM = -662.0, 664.0
"""Nominal i (mm) above the vertex of the skull and below the knee."""

VERTEBRAE = (
    *(f"C{n}" for n in range(1, 8)),
    *(f"T{n}" for n in range(1, 13)),
    *(f"L{n}" for n in range(1, 6)),
    "S1",
)
_NECK_I, _NECK_P = (-478, -458, -440, -423, -406, -389, -372), (-6, -8, -10, -11, -10, -7, -1)
VERTEBRA_I = (*_NECK_I, -354, -336, -317, -297, -276, -254, -231, -207, -182, -156, -129, -100, -68, -34, 0, 36, 69, 97)
VERTEBRA_P = (*_NECK_P, 8, 19, 28, 35, 40, 43, 43, 41, 37, 31, 23, 13, 3, -8, -15, -16, -8, 12)
"""Centres of the vertebral bodies: an adult spine lying supine, cervical and lumbar lordosis, thoracic kyphosis."""
_MEAN_P = float(np.mean(VERTEBRA_P[7:]))

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
        (196, 46, -74, 72),
        (214, 30, -56, 64),
        (230, 14, -30, 56),
    ]
)
_LEAN = np.array(
    [
        (-425, 57, -60, 62),
        (-390, 61, -58, 64),
        (-368, 84, -60, 80),
        (-350, 124, -66, 96),
        (-330, 150, -80, 106),
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

    sex: Sex
    age: float
    arms_up: bool
    scale: tuple[float, float, float]
    fat: float
    visceral: float
    muscle: float
    curve: tuple[float, float]
    breath: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Habitus:
        """A random build: women a little smaller, with more subcutaneous and less visceral fat; with age muscle goes,
        visceral fat comes, and the back bends."""
        sex: Sex = "female" if rng.random() < 0.5 else "male"
        age = float(np.clip(rng.normal(58, 18), 18, 90))
        old = (age - 45) / 45
        size = rng.normal(0.935 if sex == "female" else 0.995, 0.035)
        plump = float(rng.beta(1.5, 2.1))
        width = size * (1 + 0.14 * (plump - 0.35) + rng.normal(0, 0.028))
        depth = size * (1 + 0.24 * (plump - 0.35) + rng.normal(0, 0.04))
        fat = 4 + (34 if sex == "female" else 25) * plump * rng.uniform(0.55, 1.25)
        visceral = (4 + 26 * plump) * rng.uniform(0.4, 1.2) * (0.7 if sex == "female" else 1.0) * (1 + 0.3 * old)
        muscle = rng.uniform(0.8, 1.2) - 0.13 * max(0.0, old) - (0.04 if sex == "female" else 0.0)
        return Habitus(
            sex,
            age,
            bool(rng.random() < 0.68),
            (
                float(np.clip(size * rng.normal(1, 0.02), 0.86, 1.14)),
                float(np.clip(depth, 0.82, 1.27)),
                float(np.clip(width, 0.85, 1.24)),
            ),
            float(fat),
            float(visceral),
            float(max(0.62, muscle)),
            (float(rng.normal(0, 5)), float(np.clip(rng.uniform(0.78, 1.12) + 0.1 * max(0.0, old), 0.78, 1.22))),
            float(rng.normal(0, 11)),
        )

    def spine(self, i: NDArray | float) -> tuple[NDArray, NDArray]:
        """(p, l) of the vertebral bodies' centre line at height i: kyphosis and lordosis, with a slight scoliosis."""
        p = _MEAN_P + self.curve[1] * np.asarray(np.interp(i, VERTEBRA_I, VERTEBRA_P) - _MEAN_P)
        along = np.clip((np.asarray(i, float) + 350) / 450, 0, 1)
        return p, np.asarray(self.curve[0] * np.sin(along * np.pi))

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
        left = -163 + b + 72 * np.abs((x - 70) / 66) ** 2.2 + drop
        middle = -157 + b + 60 * np.abs((x - 5) / 75) ** 2.0 + 0.8 * drop
        return np.minimum(np.minimum(right, left), middle).astype(np.float32)


def outline(
    table: NDArray,
    i: Float,
    p: Float,
    x: Float,
    grow: Float | float = 0.0,
    front: Float | float = 1.0,
    power: float = 2.35,
) -> Float:
    """Level of a profile table at open coordinates, below 1 inside; the surface is moved out by ``grow`` (of i) mm, and
    by ``front`` (of p) times that along p.

    The level is a sum of a term in (i, p) and one in (i, l), which keeps whole bodies cheap.
    """
    w, f, b = (np.interp(i, table[:, 0], table[:, k]).astype(np.float32) for k in (1, 2, 3))
    middle = 0.35 * f + 0.65 * b
    half = np.where(p < middle, middle - f, b - middle) + grow * front
    q = np.float32(power)
    return np.abs(x / (w + grow)) ** q + np.abs((p - middle) / half) ** q


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
    """Level of the body cavity, below 1 inside; it ends above the lung apices and below the pelvic floor."""
    level = outline(_CAVITY, i, p, x, grow)
    beyond = (i[:, 0, 0] < _CAVITY[0, 0] - 4) | (i[:, 0, 0] > _CAVITY[-1, 0])
    level[beyond] = 9
    return level


def lean(i: Float, p: Float, x: Float, grow: Float | float = 0.0, front: Float | float = 1.0) -> Float:
    """Level of the trunk's muscle surface, or of its skin when grown by the fat's thickness."""
    return outline(_LEAN, i, p, x, grow, front, 2.3)
