"""The page: a story as one file for a browser, which needs nothing else."""
