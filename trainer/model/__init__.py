"""The world model: its parts, its configuration, its checkpoints."""
