"""The window: small widgets, the overlay, and one coordinator. The only room that knows Qt and napari's viewer."""
