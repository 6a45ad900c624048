"""`agss serve`: a function.yaml comes in, HTTP as Nuclio speaks it goes out, without Docker; and `agss smoke`.

May import `agss_model` and `serverless.function`; workers import the handler that the file names.
"""
