"""`python -m agss_model`, the same as the command `agss`."""

from __future__ import annotations

from agss_model.cli.main import app

if __name__ == "__main__":
    app(prog_name="agss")
