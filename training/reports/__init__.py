"""From a radiology report's text to what it states of each organ, by rule."""
