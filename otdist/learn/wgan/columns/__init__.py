"""Encoding of mixed tables and of classes as points, and the generator that keeps to their levels."""
