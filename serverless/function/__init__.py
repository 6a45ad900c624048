"""The CVAT function: an event's body comes in, the JSON of an answer goes out; nothing is kept but what is faster.

May import `agss_model`; knows neither Nuclio (that is `serverless.main`) nor HTTP.
"""
