"""Clips with exact masks, made of photographs.

A pool of stills with objects, or real clips to paste over, come in; `Clips` go out. May import `agss_model` and
`training.data`.
"""
