"""Policies as files: played without the library that made them, exactly as it would."""

from __future__ import annotations

import numpy as np
import pytest
from toy_knowledge import knowledge

from simulator.environments.chain_env import observed
from simulator.environments.learned.knowledge import Knowledge
from simulator.environments.learned.opening import LearnedOpening
from simulator.environments.opening import Episode, price_list
from simulator.environments.pricing import seen
from simulator.policy.knobs import KNOBS, STILL, chain_scope
from simulator.policy.learners import LEARNERS, KnobEnv
from simulator.policy.libraries import required
from simulator.policy.limits import Limits
from simulator.policy.made import Linear, Made, Network, context
from simulator.policy.networks import Layers
from trainer.commands.errors import InputError

FREE = Limits(10, 0.95, -10, 10, 1, ())


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> LearnedOpening:
    path = tmp_path_factory.mktemp("files") / "world.safetensors"
    knowledge().save(path)
    return LearnedOpening(str(path), 6)


def learnt(kind: str, opening, **settings):
    learner, known = LEARNERS[kind]
    defaults = {name: setting.default for name, setting in known.items()}
    return learner(opening, FREE, defaults | settings, 3, lambda: None)


def test_a_file_comes_back_as_it_was(tmp_path, learned):
    path = tmp_path / "policy.safetensors"
    chain = price_list(learned.start()[0])
    training = {"curve": [[1, 2.5]]}
    made = Made("mine", "search", chain, Limits(index=1.1), {"knobs": STILL}, training)
    made.save(path)
    again = Made.load(path)
    episode = Episode(learned, 0)
    policies = [m.policy(learned) for m in (made, again)]

    assert (again.name, again.kind, again.limits) == ("mine", "search", Limits(index=1.1))
    assert again.training == made.training
    assert np.array_equal(policies[0](episode).regular, policies[1](episode).regular)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"not a policy"])
def test_no_other_file_is_taken(content, tmp_path):
    path = tmp_path / "policy"
    path.write_bytes(content)
    with pytest.raises(InputError):
        Made.load(path)
    knowledge().save(path)
    with pytest.raises(InputError, match="no policy"):
        Made.load(path)


def test_what_is_no_number_or_was_damaged_is_refused(tmp_path):
    path = tmp_path / "policy"
    Made("mine", "search", "", Limits(), {"knobs": STILL * np.nan}, {"curve": []}).save(path)
    with pytest.raises(InputError, match="knobs is not all numbers"):
        Made.load(path)
    knowledge().save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        Knowledge.load(path)


def test_a_search_finds_what_suppliers_pay_for(learned):
    """Of a third of the needs nine tenths of promotions are paid: half off is what earns most."""
    arrays, curve = learnt("search", learned, lives=1, steps=[1.0])
    paid, partly, unpaid = arrays["knobs"][-3:]

    assert paid == 1.0
    assert unpaid == -1.0
    assert [value for _, value in curve] == sorted(value for _, value in curve)


def test_constant_elasticity_is_the_inverse_elasticity_rule(learned):
    """e = .5 + 1.5: cost x 2 is 1.4 times the price of now, more than the largest level."""
    arrays, _ = learnt("constant-elasticity", learned)

    assert (arrays["knobs"][: KNOBS - 3] == 1.0).all()


@pytest.mark.parametrize("kind", ["lin-ts", "lin-ucb"])
def test_a_bandit_is_its_coefficients(kind, learned):
    pytest.importorskip("mabwiser", reason="mabwiser is of the extra policies")
    arrays, curve = learnt(kind, learned, episodes=12, levels=[1.0], partly=[0.0], alpha=1.0)
    policy = Linear(chain_scope(learned), arrays["arms"], arrays["beta"])
    episode = Episode(learned, 0)

    assert arrays["beta"].shape == (3, context(policy.scope, episode).size)
    assert len(curve) == 12
    # It has learnt to take promotions that others pay.
    assert policy(episode).depth.max() >= 0.25


def test_a_network_plays_as_stable_baselines_does(learned, monkeypatch):
    sb3 = pytest.importorskip("stable_baselines3", reason="it is of the extra policies")
    kept = {}
    make = sb3.PPO

    def spied(*arguments, **options):
        kept["model"] = make(*arguments, **options)
        return kept["model"]

    monkeypatch.setattr(sb3, "PPO", spied)
    arrays, curve = learnt("ppo", learned, weeks=48, envs=2, steps=12, batch=12)
    episode = Episode(learned, 0)
    network = Network(chain_scope(learned), Layers.of(arrays))
    observation = observed(episode, seen(episode, network.scope))
    expected, _ = kept["model"].predict(observation, deterministic=True)

    assert np.allclose(network.knobs(observation), expected, atol=1e-5)
    assert len(curve) == 2


def test_knobs_are_the_actions_of_an_environment_within_limits(learned):
    env = KnobEnv(Limits(), world="model", checkpoint=learned.checkpoint, weeks=6)
    env.reset(seed=0)
    observation, reward, *_, info = env.step(np.ones(KNOBS, np.float32))

    assert observation in env.observation_space
    assert reward == pytest.approx(info["profit"] / env.episode.books.usual.revenue)
    assert info["price"] < 1.01


def test_a_missing_library_is_said_in_one_line():
    with pytest.raises(InputError, match="pip install -e '.\\[policies\\]'"):
        required("no_such_library_of_policies")
