"""Learning from a team's annotations: fine-tune, judge by the gate, publish.

Prepared videos and weights come in; better weights in the registry and a report go out, or a refusal. May import
`agss_model` and everything in `training` but `scores`.
"""
