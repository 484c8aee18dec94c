"""Readers and checkers of arguments: numbers, containers, labels, units and times."""
