"""T5: the parts of a store, and stores that training has not seen."""

from __future__ import annotations

import pytest
import torch
from toy import toy_cache

from trainer.model.embeddings import StoreEmbedding
from trainer.model.embeddings.standardiser import Standardiser

FORMAT, REGION, OPERATIONS, IDENTITY = slice(0, 24), slice(24, 48), slice(48, 80), slice(80, 96)
IS_NOVEL = torch.tensor([False, False, True, False])


@pytest.fixture
def store() -> StoreEmbedding:
    torch.manual_seed(0)
    scale = Standardiser(torch.zeros(5), torch.ones(5), torch.ones(5, dtype=torch.bool))
    return StoreEmbedding(3, 4, IS_NOVEL, scale)


def arguments(trips: int = 1, **changed: int) -> dict[str, torch.Tensor]:
    codes = {"format": 1, "region": 1, "identity": 1} | changed
    figures = torch.full((trips, 5), float(codes.pop("operations", 1)))
    return {name: torch.full((trips,), v) for name, v in codes.items()} | {"operations": figures}


def test_each_input_moves_its_part_only(store):
    store.eval()
    base = store(**arguments())
    parts = {"format": FORMAT, "region": REGION, "operations": OPERATIONS, "identity": IDENTITY}
    for name in parts:
        moved = store(**arguments(**{name: 2}))
        differs = [n for n, part in parts.items() if not torch.equal(base[:, part], moved[:, part])]
        assert differs == [name]


def test_a_novel_store_has_no_identity(store):
    store.eval()
    unknown = store(**arguments(identity=0))
    assert torch.equal(store(**arguments(identity=3)), unknown)  # row 2 is novel
    assert torch.equal(unknown[0, IDENTITY], store.identity.weight[0])
    others = [store(**arguments(identity=row + 1)) for row in (0, 1, 3)]
    assert len(torch.cat([unknown, *others]).unique(dim=0)) == 4


def test_unknown_format_and_region_are_learned(store):
    output = store(**arguments(format=0, region=0))
    output.sum().backward()
    assert store.format.weight.grad[0].ne(0).all() and store.region.weight.grad[0].ne(0).all()


@pytest.mark.parametrize(
    "wrong", [{"format": 4}, {"region": 5}, {"identity": 5}, {"identity": -1}, {"format": -1}]
)
def test_codes_out_of_range_are_refused(store, wrong):
    with pytest.raises(IndexError):
        store(**arguments(**wrong))


def test_a_cache_names_its_novel_stores(tmp_path):
    store = StoreEmbedding.from_cache(toy_cache(tmp_path / "cache"))
    assert store.known_identity.tolist() == [0, 1, 2, 3, 4, 0]
