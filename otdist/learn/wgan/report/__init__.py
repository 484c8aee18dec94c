"""Report of a run: curves, pictures, histograms and the summary."""
