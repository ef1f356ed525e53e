"""What every scorer answered to every question, as a Parquet file that anyone can check.

One row per trip, task and scorer; what the columns hold is in `COLUMNS`. Rows are written as they
are made, a few megabytes at a time, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from trainer.data.batch import TimelineBatch
from trainer.data.cache import TensorCache
from trainer.evaluation.asked import Asked, Record
from trainer.evaluation.ranking import first_tokens
from trainer.files import new_file

GUESSES = 20
ROWS = 50_000
"""Rows that are held before they are written as one row group."""
CODES = pa.list_(pa.dictionary(pa.int32(), pa.string()))
COLUMNS = pa.schema(
    {
        "basket_id": pa.int64(),  # as in the raw data
        "task": pa.dictionary(pa.int32(), pa.string()),
        "visible": CODES,  # products that the scorer saw, in code order
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
    held: list[pa.RecordBatch] = []
    # Plain lists of text for whoever reads: dictionaries are a matter of the file's encoding.
    with (
        new_file(path) as fresh,
        pq.ParquetWriter(fresh, COLUMNS, compression="zstd", store_schema=False) as writer,
    ):

        def flush() -> None:
            if held:
                writer.write_table(_one_table(held))
                held.clear()

        def record(
            task: str, scorer: str, batch: TimelineBatch, asked: Asked, scores: Tensor, tie: Tensor
        ) -> None:
            held.append(_rows(task, scorer, batch, asked, scores, tie, codes))
            if sum(map(len, held)) >= ROWS:
                flush()

        yield record
        flush()


def _one_table(held: list[pa.RecordBatch]) -> pa.Table:
    """One dictionary for all rows, as a row group needs it."""
    return pa.Table.from_batches(held, COLUMNS).unify_dictionaries().combine_chunks()


def _rows(
    task: str, scorer: str, batch: TimelineBatch, asked: Asked, scores: Tensor, tie: Tensor,
    codes: pa.Array,
) -> pa.RecordBatch:  # fmt: skip
    products, questions = len(codes), len(asked.row)
    seen = batch.questions.token != products + 1  # not the [MASK]
    unknown = asked.hidden - torch.bincount(asked.question, minlength=questions)
    every = torch.arange(questions, device=unknown.device)
    top = first_tokens(scores, asked, tie, GUESSES)
    columns = [
        pa.array(batch.trips.basket_id[batch.questions.trip].cpu().numpy()),
        _constant(task, questions),
        _lists(batch.questions.question[seen], batch.questions.token[seen], questions, codes),
        _lists(
            torch.cat([asked.question, every.repeat_interleave(unknown)]),
            torch.cat([asked.target, every.new_full((int(unknown.sum()),), products + 1)]),
            questions, codes,
        ),
        _lists(every.repeat_interleave((top > 0).sum(1)), top[top > 0], questions, codes, False),
        _constant(scorer, questions),
    ]  # fmt: skip
    return pa.RecordBatch.from_arrays(columns, schema=COLUMNS)


def _lists(
    question: Tensor, token: Tensor, questions: int, codes: pa.Array, in_order: bool = True
) -> pa.ListArray:
    """The codes of the tokens (n,) of each question; those above N are null.

    in_order: sort by code; otherwise the pairs come by question, in the order to keep.
    """
    question, token = question.cpu().numpy(), token.cpu().numpy()
    if in_order:  # tokens are in the order of codes
        order = np.lexsort((token, question))
        question, token = question[order], token[order]
    offsets = np.searchsorted(question, np.arange(questions + 1)).astype(np.int32)
    place = pa.array(token - 1, pa.int32(), mask=token > len(codes))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.DictionaryArray.from_arrays(place, codes))


def _constant(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [value])
