"""The command `agss`, one small file per command.

Options come in; what a run, an evaluation or a measurement came to goes out, for people or as JSON. May import
everything in `agss_model`, where no other room imports it. Other packages add their commands by entry points.
"""
