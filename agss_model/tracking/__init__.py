"""Following objects from frame to frame: what is remembered, where each can be, what to believe of its mask.

Frames and human masks come in; a `FrameResult` a frame goes out. May import `network`, `flow`, `masks` and `system`,
and opens no file of a video.
"""
