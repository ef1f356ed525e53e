"""The weeks of a split, and what is said where a history is too short to have any."""

from __future__ import annotations

import pytest
from toy import toy_columns, toy_manifest

from simulator.fidelity.__main__ import main as fidelity
from simulator.history import main as history
from simulator.prices.changes import main as changes
from trainer.baselines.visit_counts import VisitCounts
from trainer.cache.reader import TensorCache
from trainer.cache.split import split_weeks
from trainer.cache.writer import write_cache
from trainer.commands.errors import InputError


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A cache whose weeks are all for training."""
    folder = tmp_path_factory.mktemp("short") / "cache"
    manifest = toy_manifest()
    manifest["split"] = {"train": [1, manifest["split"]["test"][1]]}
    write_cache(folder, toy_columns(), manifest)
    return TensorCache(folder)


def test_weeks_of_a_split(short):
    assert split_weeks(short, "train")[0] == 1
    with pytest.raises(InputError, match="split: expected one of train, not 'trial'"):
        split_weeks(short, "trial")
    with pytest.raises(InputError, match="no week is a validation week"):
        VisitCounts(short)


@pytest.mark.parametrize(
    ("command", "arguments", "split"),
    [(fidelity, [], "test"), (changes, [], "test"), (history, ["run"], "validation")],
)
def test_commands_that_ask_for_their_weeks_say_so(short, capsys, command, arguments, split):
    assert command([*arguments, "--cache", str(short.folder)]) == 2
    line = capsys.readouterr().err
    assert f"cache: no week is a {split} week (weeks 1-" in line and "move the vars" in line
