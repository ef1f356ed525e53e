"""The answers of every scorer to every question, as a Parquet file that anyone can check.

One row per trip, task and scorer, with the columns of `COLUMNS`. Rows are written as they come, a
few megabytes at a time.
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
        "basket_id": pa.string(),  # as in the raw data
        "task": pa.dictionary(pa.int32(), pa.string()),
        "visible": CODES,  # products that are not hidden, in code order
        "target": CODES,  # hidden products, in code order
        "top20": CODES,  # products by rank, best first
        "scorer": pa.dictionary(pa.int32(), pa.string()),
    }
)
"""A product outside the vocabulary has no code in the cache: its entry is null, after the others,
so that lengths are those of the basket."""


@contextmanager
def prediction_file(path: Path, cache: TensorCache) -> Iterator[Record]:
    """Write the predictions of an evaluation of this cache; yields the function that records them.

    The file appears when it is complete; after an error the former file is still there. Raises
    OSError where it cannot be written.
    """
    codes = pa.array([code.decode(errors="replace") for code in cache["products.code"].tolist()])
    held: list[_Rows] = []
    # Readers get plain lists of text: dictionaries are only the file's encoding.
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
            truth: GroundTruth,
            scores: Tensor,
            tie: Tensor,
        ) -> None:
            top = first_tokens(scores, truth, tie, GUESSES)
            held.append(_rows(task, scorer, truth, top, cache))
            if sum(len(rows.basket) for rows in held) >= ROWS:
                flush()

        yield record
        flush()


@dataclass(frozen=True)
class _Rows:
    """The rows of some questions and one scorer."""

    task: str
    scorer: str
    basket: np.ndarray
    """(n,) basket ids, as in the cache."""
    lists: dict[str, tuple[np.ndarray, np.ndarray]]
    """Column -> (n,) lengths of its lists, and all their tokens one after the other."""


def _rows(task: str, scorer: str, truth: GroundTruth, top: Tensor, cache: TensorCache) -> _Rows:
    """top (Q, guesses) the first tokens of each question, 0 where none is left."""
    mask = cache.vocabulary.mask
    questions = len(truth.row)
    unknown = truth.hidden - torch.bincount(truth.question, minlength=questions)
    every = torch.arange(questions, device=unknown.device)
    # Any token after the products stands for a product without a code.
    target = torch.cat([truth.target, unknown.new_full((int(unknown.sum()),), mask)])
    of_target = torch.cat([truth.question, every.repeat_interleave(unknown)])
    return _Rows(
        task,
        scorer,
        cache["trips.basket_id"][truth.row.cpu().numpy()],
        {
            "visible": _in_order(*truth.visible, questions),
            "target": _in_order(of_target, target, questions),
            "top20": ((top > 0).sum(1).cpu().numpy(), top[top > 0].cpu().numpy()),
        },
    )


def _in_order(question: Tensor, token: Tensor, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """Lengths (Q,) and tokens (n,) by question, then token."""
    question, token = question.cpu().numpy(), token.cpu().numpy()
    return np.bincount(question, minlength=questions), token[np.lexsort((token, question))]


def _record_batch(held: list[_Rows], codes: pa.Array) -> pa.RecordBatch:
    """All held rows as one batch, with one dictionary per column."""
    counts = [len(rows.basket) for rows in held]
    columns = {
        "basket_id": pa.array(
            [basket.decode(errors="replace") for rows in held for basket in rows.basket.tolist()]
        ),
        "task": _repeated([rows.task for rows in held], counts),
        "scorer": _repeated([rows.scorer for rows in held], counts),
    }
    for name in held[0].lists:
        lengths, token = (
            np.concatenate(part) for part in zip(*(rows.lists[name] for rows in held), strict=True)
        )
        # Tokens after the products are of products without a code.
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
