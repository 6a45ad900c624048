"""Clips with exact masks, made of photographs.

Comes in: a pool of stills with objects, or real clips to paste over. Goes out: `Clips`.
Imports `agss_model` and `training.data`.
"""
