"""Fitting the head that says how far a mask can be trusted, on what the tracker itself gets right and wrong."""
