"""What the function costs, in seconds and in accuracy: settings come in, tables for docs/benchmarks.md go out.

May import `agss_model`, `serverless.function` and `serverless.local`.
"""
