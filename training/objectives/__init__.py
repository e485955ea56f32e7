"""What is learned: each method is views, pooled features and a target matrix over one shared contrast."""
