"""The six context tensors: what the model knows of a trip and of an item, as vectors."""

from trainer.tensors.customer import AFFINITY_COLUMNS, HISTORY_COLUMNS, CustomerEmbedding
from trainer.tensors.normalisation import Number, Standardiser, read_numbers
from trainer.tensors.price import PRICE_COLUMNS, PriceEmbedding
from trainer.tensors.product import ProductEmbedding
from trainer.tensors.store import OPERATION_COLUMNS, StoreEmbedding
from trainer.tensors.time import TimeEmbedding, training_days
from trainer.tensors.trip import TripEmbedding

__all__ = [
    "AFFINITY_COLUMNS",
    "HISTORY_COLUMNS",
    "OPERATION_COLUMNS",
    "PRICE_COLUMNS",
    "CustomerEmbedding",
    "Number",
    "PriceEmbedding",
    "ProductEmbedding",
    "Standardiser",
    "StoreEmbedding",
    "TimeEmbedding",
    "TripEmbedding",
    "read_numbers",
    "training_days",
]
