"""The synthetic chain as Gymnasium environments, and reference policies for them.

import gymnasium
import simulator.environments  # registers them

env = gymnasium.make("RetailSim/Pricing-v0", category=3)
"""

from gymnasium.envs.registration import register

for _name in ("pricing", "coupons"):
    register(
        id=f"RetailSim/{_name.capitalize()}-v0",
        entry_point=f"simulator.environments.{_name}:{_name.capitalize()}Env",
        vector_entry_point=f"simulator.environments.vector:{_name}",
    )
