"""What is asked of libraries of the extra `policies`, which are imported where they are used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simulator.environments.lives import Progress
from trainer.commands.errors import InputError

from .networks import WIDTHS, taken_from
from .settings import Setting

PPO = {
    "envs": Setting(4, 1, 64), "steps": Setting(104, 2, 10_000), "batch": Setting(104, 2, 640_000),
    "gamma": Setting(0.95, 0, 1), "learning_rate": Setting(1e-3, 1e-8, 1),
    "log_std": Setting(-1.0, -20, 2), "scale": Setting(20.0, 1e-6, 1e6),
}  # fmt: skip
"""Settings of `trained_by_ppo`."""


def required(name: str):
    """A library of the extra `policies`; raises InputError where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{name} is not installed: pip install -e '.[policies]'") from None


def trained_by_ppo(
    env: Callable[[], Any], settings: Mapping[str, Any], steps: int, mean: float, figure: str,
    seed: int, week: Progress,
) -> tuple[dict[str, np.ndarray], list[tuple[int, float]]]:  # fmt: skip
    """PPO of stable-baselines3 on the CPU: arrays of the network, and for each update the steps so
    far and the mean of a figure of `info`. mean: taken off each reward, or it would drown what
    actions change."""
    sb3 = required("stable_baselines3")
    vec_env = required("stable_baselines3.common.vec_env")
    envs = vec_env.DummyVecEnv([env] * settings["envs"])
    model = sb3.PPO(
        "MlpPolicy", _centred(vec_env, envs, mean, settings["scale"]),
        n_steps=settings["steps"], batch_size=settings["batch"], gamma=settings["gamma"],
        learning_rate=settings["learning_rate"], seed=seed, device="cpu",
        policy_kwargs={"log_std_init": settings["log_std"], "net_arch": WIDTHS},
    )  # fmt: skip
    callback = _curve(required("stable_baselines3.common.callbacks"), figure, week)
    model.learn(steps, callback=callback)
    return taken_from(model.policy), callback.points


def _centred(module, envs, mean: float, scale: float):
    class Centred(module.VecEnvWrapper):
        def reset(self):
            return self.venv.reset()

        def step_wait(self):
            observations, rewards, dones, infos = self.venv.step_wait()
            return observations, (rewards - mean) * scale, dones, infos

    return Centred(envs)


def _curve(module, figure: str, week: Progress):
    class Curve(module.BaseCallback):
        def __init__(self) -> None:
            super().__init__()
            self.points: list[tuple[int, float]] = []
            self._figures: list[float] = []

        def _on_step(self) -> bool:
            for info in self.locals["infos"]:
                self._figures.append(info[figure])
                week()
            return True

        def _on_rollout_end(self) -> None:
            self.points.append((self.num_timesteps, float(np.mean(self._figures))))
            self._figures = []

    return Curve()
