"""What an encoder does on held-out scans: figures with intervals, by the scores that the plugin shows."""
