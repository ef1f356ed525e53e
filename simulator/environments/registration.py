"""The names under which Gymnasium knows the environments.

This module imports nothing of Gymnasium until it is asked to: Gymnasium calls it while it is
imported itself (the entry point `gymnasium.envs` of pyproject.toml).
"""

from __future__ import annotations

ENVIRONMENTS = {"RetailSim/Pricing-v0": "pricing", "RetailSim/Coupons-v0": "coupons"}


def register_environments() -> None:
    """Register the environments; those that are registered already stay as they are."""
    from gymnasium.envs.registration import register, registry

    for name, module in ENVIRONMENTS.items():
        if name not in registry:
            register(
                id=name,
                entry_point=f"simulator.environments.{module}:{module.capitalize()}Env",
                vector_entry_point=f"simulator.environments.vector:{module}",
            )
