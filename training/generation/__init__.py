"""Report generation: a small language model that writes from what an encoder sees of every organ.

slots (what is seen) -> tokens, writer (what writes) <- batches, fit (how it learns); scores (how good that is), files.
"""
