"""The six input tensors T1-T6: what is known of a trip and of an item, as vectors."""

from trainer.model.embeddings.customer import CustomerEmbedding
from trainer.model.embeddings.price import PriceEmbedding
from trainer.model.embeddings.product import ProductEmbedding
from trainer.model.embeddings.store import StoreEmbedding
from trainer.model.embeddings.time import TimeEmbedding
from trainer.model.embeddings.trip import TripEmbedding

__all__ = [
    "CustomerEmbedding",
    "PriceEmbedding",
    "ProductEmbedding",
    "StoreEmbedding",
    "TimeEmbedding",
    "TripEmbedding",
]
