"""Fine-tuning of an encoder on labelled items, and prediction with the result."""
