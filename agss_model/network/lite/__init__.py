"""The `lite` preset: AGSS-VOS for a laptop CPU."""
