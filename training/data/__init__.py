"""Stores, batches and texts: from scans on disk to what a step needs."""
