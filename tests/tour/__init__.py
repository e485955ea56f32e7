"""A scripted tour through the real window: a picture a step, and how long the window did not answer."""
