"""Results on disk: reports, comparisons, summaries and ablations."""
