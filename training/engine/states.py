"""What is known of the organs of a step, as an objective takes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from training.data.records import OrganRecord
from training.data.texts import Classes
from training.objectives.base import Organs


def class_matrix(records: Sequence[OrganRecord], classes: Classes) -> Tensor:
    """(rows, classes) bool: what holds for each organ; a row of an unknown state, or with too rare ones, has none."""
    known = {state: i for i, state in enumerate(classes.states)}
    matrix = np.zeros((len(records), len(classes.states)), bool)
    for row, record in enumerate(records):
        # where single abnormalities are known, nothing says that the organ is normal
        normal = () if record.told is not None else ("normal",)
        for state in (record.abnormalities or normal) if record.known else ():
            column = known.get((record.organ, state))
            if column is not None:
                matrix[row, column] = True
    return torch.from_numpy(matrix)


def told_matrices(records: Sequence[OrganRecord], classes: Classes, states: Tensor) -> tuple[Tensor, Tensor]:
    """What is known of single abnormalities.

    Parameters
    ----------
    records : sequence of OrganRecord
        The organs.
    classes : Classes
        Of the run.
    states : (rows, classes) bool
        As of :func:`class_matrix`.

    Returns
    -------
    told : (rows, classes) bool
        Of which classes of each organ it is known whether they hold.
    one_of : (rows, classes) bool
        Which of them one of several organs of the scan has.
    """
    column = {state: i for i, state in enumerate(classes.states)}
    kind_of = np.array([organ for organ, _ in classes.states], dtype=object)
    of_organ = {organ: kind_of == organ for organ in {record.organ for record in records}}
    told, one_of = np.zeros((2, len(records), len(classes.states)), bool)
    for row, (record, holds) in enumerate(zip(records, states.any(1).tolist(), strict=True)):
        if record.told is None:
            told[row] = of_organ[record.organ] & holds
            continue
        for matrix, found in ((told, record.told), (one_of, record.one_of)):
            matrix[row, [column[record.organ, s] for s in found if (record.organ, s) in column]] = True
    return torch.from_numpy(told), torch.from_numpy(one_of)


def organs_of_rows(
    vectors: Tensor,
    records: Sequence[OrganRecord],
    scan: Sequence[int],
    text: Tensor,
    classes: Classes,
    *,
    told: bool = False,
) -> Organs:
    """Organ vectors with what is known of each; ``told``: of each abnormality by itself, too."""
    number = {organ: i for i, organ in enumerate(classes.organs)}
    kind = torch.tensor([number[r.organ] for r in records], dtype=torch.int64)
    where = torch.tensor(list(scan), dtype=torch.int64)
    states = class_matrix(records, classes)
    single = told_matrices(records, classes, states) if told else ()
    return Organs(vectors, *(t.to(vectors.device) for t in (kind, where, states, text, *single)))
