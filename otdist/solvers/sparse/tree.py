"""Basis of the network simplex: a spanning tree that carries the flow.

Nodes are the n sources, the m sinks and a root. The arc between a node and its parent is stored
at the node; a non-basic arc carries nothing, so arcs can be added without touching the tree.
Every arc leads from a source to a sink, hence upwards from a source and downwards to a sink.
The root is linked by *connectors*, which lead upwards and never carry flow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.pairs.compiled import jit
from otdist.typing import Array

# One record a node, 32 bytes: half a cache line holds all that a walk to the root reads.
NODE_DTYPE = np.dtype(
    [
        ("flow", "i8"),  # on the arc to the parent
        ("parent", "i4"),
        ("arc", "i4"),  # number of that arc, CONNECTOR below the root
        ("size", "i4"),  # nodes in the subtree
        ("joint", "i4"),  # number of the arc among those that entered since the last layout, or -1
        ("home", "i4"),  # parent at the last layout
        ("extent", "i4"),  # end of the subtree in the last layout
    ]
)
CONNECTOR = -1


class Tree(NamedTuple):
    """Arrays of the tree."""

    nodes: NDArray[np.void]
    place: NDArray[np.int32]  # position of a node in the layout (a preorder)
    order: NDArray[np.int32]  # node at a position
    pi: Array  # potential by position: cost + pi[source] - pi[sink] is the reduced cost


def new_tree(count: int) -> Tree:
    """Tree of ``count`` nodes and a root, not yet connected."""
    nodes = np.zeros(count + 1, NODE_DTYPE)
    nodes["parent"], nodes["arc"], nodes["joint"] = count, CONNECTOR, -1
    identity = np.arange(count + 1, dtype=np.int32)
    return Tree(nodes, identity, identity.copy(), np.zeros(count + 1))


@jit
def link_forest(tree, n, arcs, source, sink, flow):
    """Link a plan whose support is a forest to the root, by one connector a component.

    ``arcs``, ``source``, ``sink``, ``flow``: its cells. No phase 1 is needed: connectors carry no flow, so
    their costs do not matter and each component keeps its potentials.
    """
    nodes = tree.nodes
    root = len(nodes) - 1
    ends = np.concatenate((source, sink))
    start = np.zeros(root + 1, np.int64)  # cells of a node: start[u] to start[u + 1]
    for u in ends:
        start[u + 1] += 1
    start = np.cumsum(start)
    fill = start.copy()
    cells = np.empty(len(ends), np.int64)
    for q in range(len(ends)):
        cells[fill[ends[q]]] = q % len(source)
        fill[ends[q]] += 1
    visited = np.zeros(root, np.bool_)
    stack = np.empty(root, np.int32)
    for first in range(root):
        if visited[first]:
            continue
        visited[first] = True
        nodes[first].parent, nodes[first].arc, nodes[first].flow = root, CONNECTOR, 0
        stack[0], depth = first, 1
        while depth > 0:
            depth -= 1
            u = stack[depth]
            for q in cells[start[u] : start[u + 1]]:
                v = sink[q] if u < n else source[q]
                if not visited[v]:
                    visited[v] = True
                    nodes[v].parent, nodes[v].arc, nodes[v].flow = u, arcs[q], flow[q]
                    stack[depth] = v
                    depth += 1


@jit
def lay_out(tree, n, cost, child, chain):
    """Number the nodes in preorder; compute sizes, and potentials anew from the arcs.

    Recomputing removes the rounding of the shifts since the last layout. ``child``, ``chain``: workspace,
    an entry for each node.
    """
    nodes, place, order, pi = tree
    count = len(nodes)
    root = count - 1
    child[:] = -1
    for u in range(root):
        chain[u], child[nodes[u].parent] = child[nodes[u].parent], u
    old = np.empty(count)
    for u in range(count):
        old[u] = pi[place[u]] - pi[place[root]]  # shifts of the complement have moved the root
    k, u = 0, root
    while True:
        place[u], order[k] = k, u
        parent, arc = nodes[u].parent, nodes[u].arc
        if u == root or arc == CONNECTOR:
            pi[k] = old[u]
        elif u < n:
            pi[k] = pi[place[parent]] - cost[arc]
        else:
            pi[k] = pi[place[parent]] + cost[arc]
        nodes[u].size, nodes[u].joint, nodes[u].home = 1, -1, parent
        k += 1
        if child[u] >= 0:
            u = child[u]
            continue
        while u != root and chain[u] < 0:
            u = nodes[u].parent
        if u == root:
            break
        u = chain[u]
    for k in range(count - 1, 0, -1):
        u = order[k]
        nodes[nodes[u].parent].size += nodes[u].size
        nodes[u].extent = k + nodes[u].size
    nodes[root].extent = count
