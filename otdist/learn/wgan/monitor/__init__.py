"""Checks of a run on held-out data: brackets of W1, alarms, stopping and the log."""
