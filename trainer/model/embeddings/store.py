"""T5: the store of a trip."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.cache.reader import TensorCache
from trainer.features.columns import OPERATION_COLUMNS, known_rows
from trainer.model.checks import expect_integers, expect_numbers
from trainer.model.embeddings.layers import number_map
from trainer.model.embeddings.standardiser import Standardiser

FORMAT, REGION, OPERATIONS, IDENTITY = 24, 24, 32, 16
UNKNOWN_STORE = 0


class StoreEmbedding(nn.Module):
    """T5 (96): attributes 80 (format 24, region 24, operations 32), identity 16.

    - format, region: embeddings; code 0 = unknown is learned.
    - operations: the standardised logs of `OPERATION_COLUMNS` through a small network.
    - identity: what is particular to the store, an embedding of its row + 1. 0 stands for any store
      first seen after training, and is learned from training trips whose store the loader hides.

    Embeddings start at N(0, 1), the network at unit variance.

    Args:
        formats, regions: number of labels, unknown not counted.
        is_novel: (stores,) bool, True for stores first seen after training.
        operations: standardiser of `OPERATION_COLUMNS`.
    """

    WIDTH = FORMAT + REGION + OPERATIONS + IDENTITY

    def __init__(
        self, formats: int, regions: int, is_novel: Tensor, operations: Standardiser
    ) -> None:
        super().__init__()
        self.format = nn.Embedding(formats + 1, FORMAT)
        self.region = nn.Embedding(regions + 1, REGION)
        self.operations_scale = operations
        self.operations_map = number_map(operations.columns, OPERATIONS)
        self.identity = nn.Embedding(len(is_novel) + 1, IDENTITY)
        rows = torch.arange(1, len(is_novel) + 1).masked_fill(is_novel, UNKNOWN_STORE)
        self.register_buffer("known_identity", nn.functional.pad(rows, (1, 0)))

    @classmethod
    def from_cache(cls, cache: TensorCache) -> StoreEmbedding:
        """For the labels and stores of a cache; constants from the stores of the training weeks."""
        return cls(
            len(cache.labels["store_format"]),
            len(cache.labels["store_region"]),
            torch.tensor(cache["stores.is_novel"]),
            Standardiser.fit(cache, OPERATION_COLUMNS, known_rows(cache, "stores")),
        )

    def forward(
        self, format: Tensor, region: Tensor, identity: Tensor, operations: Tensor
    ) -> Tensor:
        """The stores of T trips, (T, 96).

        format, region (T,) labels; identity (T,): stores row + 1, or 0 for a store without a row;
        operations (T, 5) raw, from `read_numbers`. Raises ValueError for other shapes or dtypes,
        IndexError on a CPU for codes out of range.
        """
        trips = len(format)
        expect_integers("format", format, (trips,))
        expect_integers("region", region, (trips,))
        expect_integers("identity", identity, (trips,))
        expect_numbers("operations", operations, (trips, self.operations_scale.columns))
        identity = self.known_identity.index_select(0, identity.long())
        return torch.cat(
            [
                self.format(format.long()),
                self.region(region.long()),
                self.operations_map(self.operations_scale(operations)),
                self.identity(identity),
            ],
            dim=1,
        )
