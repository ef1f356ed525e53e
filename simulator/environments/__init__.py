"""The synthetic chain as Gymnasium environments, and reference policies for them.

import gymnasium
import simulator.environments

env = gymnasium.make("RetailSim/Pricing-v0", category=3)
"""

from .registration import register_environments

register_environments()
