"""`python -m agss_model.cli`."""

from __future__ import annotations

from agss_model.cli.main import app

if __name__ == "__main__":
    app(prog_name="agss")
