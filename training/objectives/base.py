"""What an objective is given and what it gives back: the one contract that every method and the loop share.

A step encodes crops ("views") of scans, pools what is under every organ's mask, and embeds texts. A method turns these
into logits and soft targets; all of them end in the contrast of ``contrast.py``. A method states what it needs, so that
the loop computes no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn


@dataclass(frozen=True)
class Needs:
    """What a method asks of a step.

    Attributes
    ----------
    views : int
        Crops of every scan.
    organs : bool
        Vectors of organs.
    whole : bool
        One vector a view, and one a report.
    tokens : bool
        The tokens of every view, for pooling by text.
    models : int
        Networks that are trained side by side.
    momentum : bool
        Texts embedded by an average of past weights as well.
    hard : bool
        Sentences made false on purpose.
    told : bool
        Which single abnormalities are known to be there or not, organ by organ: a method that asks for it learns from
        scans of which only some are known.
    """

    views: int = 1
    organs: bool = True
    whole: bool = False
    tokens: bool = False
    models: int = 1
    momentum: bool = False
    hard: bool = False
    told: bool = False

    def of_kind(self, whole: bool) -> Needs:
        """What is left of it in a step of whole volumes alone, or of organs alone.

        Features and texts of the other kind are absent (``None``) then, and the method leaves their terms out.
        """
        if whole:
            return replace(self, organs=False, momentum=False, hard=False, told=False)
        return replace(self, whole=False, tokens=False)


@dataclass(frozen=True)
class Organs:
    """The organs of a step's views.

    Attributes
    ----------
    vectors : (n, d) float
        Unit length.
    organ : (n,) int64
        Organ kind.
    scan : (n,) int64
        Which scan of the step the row is from.
    states : (n, classes) bool
        Which classes (organ kind and state: normal, or one abnormality) hold; a row without any is unknown: not
        mentioned, or cut by the crop.
    text : (n,) int64
        Row of ``Texts.organs`` with what the report says of this organ; -1 where it says nothing.
    told : (n, classes) bool, optional
        Of which classes of the organ it is known whether they hold; all of them by default where the state is known.
    one_of : (n, classes) bool, optional
        Classes that hold for one of the scan's rows that have the same abnormality here; it is not known for which.
    """

    vectors: Tensor
    organ: Tensor
    scan: Tensor
    states: Tensor
    text: Tensor
    told: Tensor | None = None
    one_of: Tensor | None = None


@dataclass(frozen=True)
class Views:
    """The crops of a step.

    Attributes
    ----------
    vectors : (v, d) float
        Unit length: the whole crop pooled.
    scan : (v,) int64
        Which scan of the step a view is from.
    tokens : tuple of (t, c) float
        Projected tokens of each view, not of unit length; empty unless asked for.
    """

    vectors: Tensor
    scan: Tensor
    tokens: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Texts:
    """The texts of a step, embedded to unit length in the space of the organs.

    Attributes
    ----------
    names : (organs, d) float
        One sentence an organ kind, in the order of organ kinds.
    dictionary : (m, d) float
        One sentence a class, drawn from the abnormality dictionary and the normal templates.
    dictionary_class : (m,) int64
        Class of each.
    class_organ, class_normal : (classes,) int64, bool
        Organ kind of each class, and whether it says that the organ is normal.
    organs : (k, d) float
        What reports say of single organs; equal strings have one row.
    organs_momentum : (k, d) float, optional
        The same, embedded by the momentum projection.
    whole : (s, d) float, optional
        One report a scan.
    whole_id : (s,) int64, optional
        Equal reports have equal numbers, in every process.
    organs_id : (k,) int64, optional
        A number of each string of ``organs``, the same in every process; several processes need it to gather.
    mirror : (organs,) int64, optional
        Organ kind on the other side of the body; -1 where there is none.
    hard : (q, d) float, optional
        Sentences close to one of ``organs`` and false of its organ: left and right swapped, or negated.
    hard_of : (q,) int64, optional
        Row of ``organs`` that each belongs to.
    class_kind : (classes,) int64, optional
        Which classes say the same of different organs: these have equal numbers.
    """

    names: Tensor
    dictionary: Tensor
    dictionary_class: Tensor
    class_organ: Tensor
    class_normal: Tensor
    organs: Tensor
    organs_momentum: Tensor | None = None
    whole: Tensor | None = None
    whole_id: Tensor | None = None
    organs_id: Tensor | None = None
    mirror: Tensor | None = None
    hard: Tensor | None = None
    hard_of: Tensor | None = None
    class_kind: Tensor | None = None


@dataclass(frozen=True)
class Features:
    """What one network sees in a step."""

    organs: Organs | None = None
    views: Views | None = None


@dataclass(frozen=True)
class Term:
    """One part of a loss beside the value that guessing would give."""

    value: Tensor
    chance: float


class Objective(nn.Module):
    """A method of pretraining.

    It is a module: its parameters, where a method has some, join those of the networks in the optimiser, its state
    joins the checkpoint, and what it remembers between steps it learns in training mode only.
    """

    name: str
    needs: Needs
    asks_in_words = True
    """Whether what it trains can be asked by text; without, there is no encoder to write."""

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """Loss and its terms; one entry a network in each tuple; ``progress`` runs from 0 to 1 over the training."""
        raise NotImplementedError
