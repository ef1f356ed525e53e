"""What if: the weeks to come with and without a change, and what they differ by.

simulators = [ready_simulator(load_checkpoint(path), cache, start) for path in checkpoints]
found = what_if(simulators, scenario, weeks=9, seeds=range(20 * len(simulators)))
found.tables["product"].difference.change  # (products, measures)
"""

from simulator.whatif.compare import Table, WhatIf, what_if

__all__ = ["Table", "WhatIf", "what_if"]
