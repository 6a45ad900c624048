"""Learning from a team's annotations: fine-tune, judge by the gate, publish.

Comes in: prepared videos and weights. Goes out: better weights in the registry, and a report; or a refusal.
Imports everything else of `training`; of `training.release` the model card.
"""
