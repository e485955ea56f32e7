"""Pretraining of scan-text encoders; runs from the checkout as ``python -m training.<command>``."""
