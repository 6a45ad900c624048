"""A run: its settings, its sources, and what happens at each step.

Settings and batches of clips come in; weights, checkpoints and logs go out. May import `agss_model`, `training.data`
and `training.synthesis`.
"""
