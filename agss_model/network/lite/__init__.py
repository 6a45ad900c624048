"""The `lite` preset: AGSS-VOS for a laptop CPU.

Images and masks come in and logits of each object go out, as `base` says. May import `attention`, `base`, `equations`,
`intervals` and `target` beside it.
"""
