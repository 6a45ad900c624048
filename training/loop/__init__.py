"""A run: its settings, its sources, and what happens at each step.

Comes in: settings and batches of clips. Goes out: weights, checkpoints, logs.
Imports `agss_model`, `training.data` and `training.synthesis`.
"""
