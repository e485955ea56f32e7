"""Two answers side by side: by how much each organ answers one question better than the other."""

from __future__ import annotations

from dataclasses import dataclass

from napari_ctvlp.ask.types import OrganMatch, Ranking


@dataclass(frozen=True)
class Contrast:
    """One organ under two questions."""

    organ: str
    first: OrganMatch
    second: OrganMatch

    @property
    def difference(self) -> float:
        """Score under the first question minus that under the second, -1 to 1."""
        return self.first.score - self.second.score

    @property
    def by_sight(self) -> float:
        """The same of what the encoder sees alone: two names of one organ differ in nothing else."""
        return self.first.visual - self.second.visual


def contrast(first: Ranking, second: Ranking) -> tuple[Contrast, ...]:
    """The organs of two answers about one scan, the widest apart first."""
    other = {match.organ: match for match in second.organs}
    both = [Contrast(match.organ, match, other[match.organ]) for match in first.organs if match.organ in other]
    return tuple(sorted(both, key=lambda c: -abs(c.difference)))
