"""True probabilities of a synthetic chain's products, trip by trip, as a scorer.

They come in a file, which `python -m dbt_project.oracle` writes from what made the chain.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from trainer.baselines.examples import task_of
from trainer.batches.batch import TimelineBatch
from trainer.batches.tasks import TASKS
from trainer.cache.atomic import new_file
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.evaluation.scorers import ORACLE
from trainer.model.outputs import Predictions

WRITE = "write it with python -m dbt_project.oracle"


def write_oracle(
    path: Path, cache: TensorCache, rows: np.ndarray, seed: int, log_p: dict[str, np.ndarray]
) -> None:
    """Write true log-probabilities of a cache's products on some of its trips.

    rows: (n,) of the cache's trips. seed: of what completion hides. log_p: by task, (n, N) float32,
    the probability that a hidden item, drawn at random, is a product. Raises OSError.
    """
    with new_file(path) as fresh, fresh.open("wb") as file:
        np.savez(
            file, seed=np.array(seed), products=cache["products.code"],
            trips=cache["trips.basket_id"][rows], **{task: log_p[task] for task in TASKS},
        )  # fmt: skip


class Oracle:
    """A scorer of what `write_oracle` wrote.

    Raises InputError where the file is no such file, or of other products or another seed.
    """

    name = ORACLE
    tasks = TASKS

    def __init__(self, path: Path, cache: TensorCache, seed: int) -> None:
        self._path, self._cache = path, cache
        try:
            with np.load(path, allow_pickle=False) as file:
                trips, products, of_seed = file["trips"], file["products"], int(file["seed"])
                log_p = np.stack([file[task] for task in TASKS])
        except FileNotFoundError:
            raise InputError(f"{path} does not exist: {WRITE}") from None
        except Exception as error:  # a wrong bit may raise anything
            raise InputError(f"{path} holds no true probabilities ({error}): {WRITE}") from None
        shape = (len(TASKS), len(trips), len(products))
        if log_p.shape != shape or log_p.dtype != np.float32 or not np.isfinite(log_p).all():
            raise InputError(f"{path} holds no true probabilities: {WRITE}")
        if products.tolist() != cache["products.code"].tolist():
            raise InputError(f"{path} is of other products than {cache.folder}: {WRITE}")
        if of_seed != seed:
            raise InputError(f"{path} is for --seed {of_seed}, not {seed}: {WRITE}")
        order = np.argsort(trips)
        self._trips, self._log_p = trips[order], torch.from_numpy(log_p[:, order])

    def scores(self, batch: TimelineBatch) -> Predictions:
        """As of `Scorer`. Raises InputError for a trip that is not in the file."""
        questions = batch.questions
        rows = batch.trips.row[questions.trip].cpu().numpy()
        wanted = self._cache["trips.basket_id"][rows]
        place = np.searchsorted(self._trips, wanted)
        found = np.zeros(len(wanted), dtype=bool)
        inside = place < len(self._trips)
        found[inside] = self._trips[place[inside]] == wanted[inside]
        if not found.all():
            trip = wanted[~found][0].decode(errors="replace")
            raise InputError(
                f"{self._path} knows nothing of trip {trip}: {WRITE}, for the same --split and "
                "--customers"
            )
        device = questions.trip.device
        task = task_of(batch).cpu()
        logits = torch.zeros(len(rows), self._cache.vocabulary.size)
        logits[:, 1 : self._cache.products + 1] = self._log_p[task, torch.from_numpy(place)]
        return Predictions(logits.to(device))
