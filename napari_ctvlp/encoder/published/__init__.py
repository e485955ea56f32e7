"""Encoders that others have published, behind the same contract: our own code, written from their shapes and names.

`entries` says what each is and imports nothing heavy; one module an encoder does the rest when it is chosen.
"""
