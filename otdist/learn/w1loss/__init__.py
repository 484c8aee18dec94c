"""W1 between batches as a loss and as a metric of torchmetrics."""
