"""What must hold in the basis of the network simplex after every window of pivots."""

from __future__ import annotations

import numpy as np

from otdist.solvers.sparse.initial_plans import northwest_corner
from otdist.solvers.sparse.network import Network
from otdist.solvers.sparse.tree import CONNECTOR
from otdist.solvers.sparse.tree_fragments import new_window

ROUNDING = 2.0**-44  # relative to the largest potential and cost: shifts add up within a window


def network(n, m, pivots=None):
    """Make a network, with windows of so many pivots."""
    made = Network(n, m)
    if pivots is not None:
        made._window_size = pivots
        made._window = new_window(n + m + 1, pivots)
    return made


def started(a, b, cost, rows, cols, pivots=None, potentials=None):
    """Network on the listed arcs, and those of the corner plan with which it begins."""
    n, m = cost.shape
    made = network(n, m, pivots)
    i, j, flow = northwest_corner(a.copy(), b.copy())
    made.add(rows, cols, cost[rows, cols])
    first = made.add(i, j, cost[i, j])
    f, g = (np.zeros(n), np.zeros(m)) if potentials is None else potentials
    made.start(first, flow, f, g)
    return made


def require_tree(made, a, b, fresh=False):
    """Assert all of it; ``fresh``: the layout was just made."""
    nodes, root = made._tree.nodes, made.n + made.m
    parent, arc, flow = (nodes[name][:root] for name in ("parent", "arc", "flow"))
    above = _ancestors(nodes["parent"], root)
    assert np.array_equal(nodes["size"], above.sum(axis=0))

    basic = arc != CONNECTOR
    assert np.array_equal(basic, parent != root)  # connectors, and only they, hang on the root
    assert (flow[~basic] == 0).all() and (flow >= 0).all()
    lower, upper, arc = np.flatnonzero(basic), parent[basic], arc[basic]
    assert len(np.unique(arc)) == len(arc) and (arc < made.count).all()
    source, sink = np.minimum(lower, upper), np.maximum(lower, upper)
    assert np.array_equal(made._source[arc], source)
    assert np.array_equal(made._sink[arc], sink)
    assert (source < made.n).all() and (made.n <= sink).all()
    # Strongly feasible: what carries nothing leads towards the root, so it hangs there as a source.
    assert (lower[flow[basic] == 0] < made.n).all()

    sent, received = np.zeros(root, np.int64), np.zeros(root, np.int64)
    np.add.at(sent, source, flow[basic])
    np.add.at(received, sink, flow[basic])
    assert np.array_equal(sent[: made.n], a)
    assert np.array_equal(received[made.n :], b)

    pi = made._tree.pi[made._tree.place]
    reduced = made._cost[arc] + pi[source] - pi[sink]
    size = np.abs(pi).max() + made._cost[: made.count].max()
    assert np.abs(reduced).max(initial=0.0) <= ROUNDING * size
    _require_layout(made._tree, above, fresh)


def _ancestors(parent, root):
    """Table ``[v, u]``: whether u lies on the way from v to the root, both ends included."""
    count = len(parent)
    above = np.zeros((count, count), bool)
    here = np.arange(count)
    for _ in range(count):
        above[np.arange(count), here] = True
        here = np.where(here == root, root, parent[here])
    assert (here == root).all(), "the parents do not form one tree"
    return above


def _require_layout(tree, above, fresh):
    count = len(tree.nodes)
    assert np.array_equal(np.sort(tree.order), np.arange(count))
    assert np.array_equal(tree.place[tree.order], np.arange(count))
    if not fresh:
        return
    nodes = tree.nodes
    assert (nodes["joint"] == -1).all()
    assert np.array_equal(nodes["home"][:-1], nodes["parent"][:-1])
    assert np.array_equal(nodes["extent"], tree.place + nodes["size"])
    for u in range(count):
        places = np.sort(tree.place[above[:, u]])
        assert np.array_equal(places, np.arange(tree.place[u], nodes["extent"][u]))


def require_pieces(made):
    """Assert that the window's pieces are what is left of the laid-out tree, each one connected."""
    window, tree = made._window, made._tree
    pieces = int(window.fragment.max()) + 1
    owner = np.full(len(window.fragment), -1)
    for piece in range(pieces):
        q = window.head[piece]
        assert q >= 0
        while q != -1:
            part = slice(window.low[q], window.high[q])
            assert window.low[q] < window.high[q] and (owner[part] == -1).all()
            owner[part] = piece
            q = window.next[q]
    assert np.array_equal(owner, window.fragment)
    # An arc that did not enter in this window joins two nodes of one piece; joints lead to others.
    nodes = tree.nodes[:-1]
    u = np.arange(len(nodes))
    here, there = window.fragment[tree.place[u]], window.fragment[tree.place[nodes["parent"]]]
    assert np.array_equal(here == there, nodes["joint"] == -1)
    assert pieces == 1 + (nodes["joint"] >= 0).sum()
    joined = nodes["joint"][nodes["joint"] >= 0]
    assert len(np.unique(joined)) == len(joined) and window.alive[joined].all()
    for end, known in ((window.one, window.fragment_one), (window.other, window.fragment_other)):
        assert np.array_equal(window.fragment[end[joined]], known[joined])


def checked(made, a, b, tol=0.0, first=0, limit=None):
    """Solve, and assert everything after every window; returns the number of windows."""
    windows = 0

    def look():
        nonlocal windows
        windows += 1
        require_tree(made, a, b)
        require_pieces(made)
        return windows == limit

    require_tree(made, a, b, fresh=True)
    finished = made.solve(first, tol, look)
    assert finished or windows == limit
    require_tree(made, a, b, fresh=True)
    return windows
