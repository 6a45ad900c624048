"""Training of the networks in `agss_model`: synthetic clips from stills, real clips, the loop, checkpoints."""
