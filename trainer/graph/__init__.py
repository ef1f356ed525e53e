"""Product embeddings: GraphSAGE over the product graph of the training weeks."""

from trainer.graph.embeddings import Embeddings, product_embeddings
from trainer.graph.quality import link_quality

__all__ = ["Embeddings", "link_quality", "product_embeddings"]
