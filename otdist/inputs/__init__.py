"""Arguments, labels, units and times of the caller, checked in one place."""
