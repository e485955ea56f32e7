"""All methods on the same scans with the same budget: what each comes to, with intervals."""
