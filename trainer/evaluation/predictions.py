"""What every scorer answered to every question, as a Parquet file that anyone can check.

One row per trip, task and scorer; what the columns hold is in `COLUMNS`. Rows are written as they
are made, a few megabytes at a time, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from trainer.batches.batch import TimelineBatch
from trainer.cache.atomic import new_file
from trainer.cache.reader import TensorCache
from trainer.evaluation.ground_truth import GroundTruth, Record
from trainer.evaluation.ranking import first_tokens

GUESSES = 20
ROWS = 10_000
"""Rows of a row group, held in memory until they are written. Five times as many take 300 MB more:
small arrays that outlive a batch fragment the allocator's memory."""
CODES = pa.list_(pa.dictionary(pa.int32(), pa.string()))
COLUMNS = pa.schema(
    {
        "basket_id": pa.int64(),  # as in the raw data
        "task": pa.dictionary(pa.int32(), pa.string()),
        "visible": CODES,  # products that are not hidden, in code order
        "target": CODES,  # hidden products, in code order
        "top20": CODES,  # products by rank, best first
        "scorer": pa.dictionary(pa.int32(), pa.string()),
    }
)
"""A product that the vocabulary does not know has no code in the cache: its entry is null, behind
the others, so that lengths are those of the basket."""


@contextmanager
def prediction_file(path: Path, cache: TensorCache) -> Iterator[Record]:
    """Write the predictions of an evaluation of this cache; yields what records them.

    The file is complete or not there: an error on the way leaves what was there before. Raises
    OSError where it cannot be written.
    """
    codes = pa.array([code.decode(errors="replace") for code in cache["products.code"].tolist()])
    held: list[_Rows] = []
    # Plain lists of text for whoever reads: dictionaries are a matter of the file's encoding.
    with (
        new_file(path) as fresh,
        pq.ParquetWriter(fresh, COLUMNS, compression="zstd", store_schema=False) as writer,
    ):

        def flush() -> None:
            if held:
                writer.write_batch(_record_batch(held, codes))
                held.clear()

        def record(
            task: str,
            scorer: str,
            batch: TimelineBatch,
            truth: GroundTruth,
            scores: Tensor,
            tie: Tensor,
        ) -> None:
            held.append(_rows(task, scorer, batch, truth, scores, tie))
            if sum(len(rows.basket) for rows in held) >= ROWS:
                flush()

        yield record
        flush()


@dataclass(frozen=True)
class _Rows:
    """The rows of one batch and scorer."""

    task: str
    scorer: str
    basket: np.ndarray
    """(n,) basket ids."""
    lists: dict[str, tuple[np.ndarray, np.ndarray]]
    """Column -> (n,) lengths of its lists, and all their tokens one after the other."""


def _rows(
    task: str, scorer: str, batch: TimelineBatch, truth: GroundTruth, scores: Tensor, tie: Tensor
) -> _Rows:
    products, questions = scores.shape[1] - 3, len(truth.row)
    visible = batch.questions.token != products + 1  # not the [MASK]
    unknown = truth.hidden - torch.bincount(truth.question, minlength=questions)
    every = torch.arange(questions, device=unknown.device)
    target = torch.cat([truth.target, unknown.new_full((int(unknown.sum()),), products + 1)])
    of_target = torch.cat([truth.question, every.repeat_interleave(unknown)])
    top = first_tokens(scores, truth, tie, GUESSES)
    return _Rows(
        task,
        scorer,
        batch.trips.basket_id[batch.questions.trip].cpu().numpy(),
        {
            "visible": _in_order(
                batch.questions.question[visible], batch.questions.token[visible], questions
            ),
            "target": _in_order(of_target, target, questions),
            "top20": ((top > 0).sum(1).cpu().numpy(), top[top > 0].cpu().numpy()),
        },
    )


def _in_order(question: Tensor, token: Tensor, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """Lengths (Q,) and tokens (n,) by question, then token, which is the order of codes."""
    question, token = question.cpu().numpy(), token.cpu().numpy()
    return np.bincount(question, minlength=questions), token[np.lexsort((token, question))]


def _record_batch(held: list[_Rows], codes: pa.Array) -> pa.RecordBatch:
    """Everything held as one batch, each column with one dictionary."""
    counts = [len(rows.basket) for rows in held]
    columns = {
        "basket_id": pa.array(np.concatenate([rows.basket for rows in held])),
        "task": _repeated([rows.task for rows in held], counts),
        "scorer": _repeated([rows.scorer for rows in held], counts),
    }
    for name in held[0].lists:
        lengths, token = (
            np.concatenate(part) for part in zip(*(rows.lists[name] for rows in held), strict=True)
        )
        # Tokens behind the products are of products without a code.
        place = pa.array(token - 1, pa.int32(), mask=token > len(codes))
        ends = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
        columns[name] = pa.ListArray.from_arrays(
            pa.array(ends), pa.DictionaryArray.from_arrays(place, codes)
        )
    return pa.RecordBatch.from_arrays([columns[name] for name in COLUMNS.names], schema=COLUMNS)


def _repeated(values: list[str], counts: list[int]) -> pa.DictionaryArray:
    names = list(dict.fromkeys(values))
    number = np.repeat([names.index(value) for value in values], counts).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(number), pa.array(names))
