"""Linear programmes: the network simplex on a full cost matrix, exact flows and bases."""
