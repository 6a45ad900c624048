"""The command `agss`, one small file per command."""
