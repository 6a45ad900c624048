"""The process and its machine: memory, time, interruption, and what a measurement must say of them.

Nothing of masks or networks comes in or goes out. May import no other room.
"""
