"""Pivots of the network simplex, a window of them at a time.

At the start of a window the tree is laid out in preorder, and potentials are stored by position.
Each pivot removes one arc of the tree and adds one; ``pieces`` keeps track of where the nodes went.
"""

from __future__ import annotations

import numpy as np

from otdist.solvers.sparse.compiled import compiled
from otdist.solvers.sparse.pieces import add_joint, clear, cut, move
from otdist.solvers.sparse.tree import lay_out

ALL = np.iinfo(np.int64).max


@compiled
def run(tree, window, n, source, sink, cost, count, cursor, block, tol, pivots):
    """Pivot until the window is full or no arc of the first ``count`` has a reduced cost < -tol.

    Returns the number of pivots, and where the search for the next arc starts: -1 when none is left.
    """
    lay_out(tree, n, cost, window.child, window.chain)
    clear(window)
    pieces, intervals = 1, 1
    for done in range(pivots):
        arc, cursor = entering(tree, source, sink, cost, count, cursor, block, tol)
        if arc < 0:
            return done, -1
        s, t = source[arc], sink[arc]
        join, out, flow, by_source = leaving(tree.nodes, n, s, t)
        push(tree.nodes, n, s, t, join, flow)
        u, v = (s, t) if by_source else (t, s)  # the subtree of `out` will hang from v by u
        pi_u, pi_v = tree.pi[tree.place[u]], tree.pi[tree.place[v]]
        shift = pi_v - cost[arc] - pi_u if by_source else pi_v + cost[arc] - pi_u
        joint = tree.nodes[out].joint
        if joint >= 0:
            window.alive[joint] = 0
        else:
            intervals = cut(tree, window, out, pieces, intervals, done)
            pieces += 1
        move(tree, window, u, out, shift, pieces, done)
        add_joint(window, done, tree.place[s], tree.place[t])
        rehang(tree.nodes, u, v, out, join, arc, flow, done)
    return pivots, cursor


@compiled
def entering(tree, source, sink, cost, count, cursor, block, tol):
    """Block search: the smallest reduced cost of the first block of arcs that has one < -tol."""
    place, pi = tree.place, tree.pi
    best, arc = -tol, -1
    seen = 0
    if cursor >= count:
        cursor = 0
    while seen < count:
        stop = min(cursor + block, count)
        for e in range(cursor, stop):
            r = cost[e] + pi[place[source[e]]] - pi[place[sink[e]]]
            if r < best:  # arcs of the tree have r = 0 but for rounding: they need no mark
                best, arc = r, e
        seen += stop - cursor
        cursor = stop if stop < count else 0
        if arc >= 0:
            break
    return arc, cursor


@compiled
def leaving(nodes, n, s, t):
    """Where the paths from s and t meet, and which arc of the cycle runs empty first.

    Of several, the last one seen from the meeting point along the cycle: then all empty arcs
    of the tree lead to the root (it is strongly feasible), and the method cannot cycle
    (Cunningham 1976). Returns (join, lower node of the arc, its flow, whether on the path from s).
    """
    root = len(nodes) - 1
    flow_s, flow_t = ALL, ALL
    out_s = out_t = -1
    u, v = s, t
    while u != v:
        if v == root or (u != root and nodes[u].size <= nodes[v].size):
            # Downwards on this side: arcs that lead upwards lose flow, those of sources and connectors.
            if (u < n or nodes[u].parent == root) and nodes[u].flow < flow_s:
                flow_s, out_s = nodes[u].flow, u
            u = nodes[u].parent
        else:
            if v >= n and nodes[v].parent != root and nodes[v].flow <= flow_t:
                flow_t, out_t = nodes[v].flow, v
            v = nodes[v].parent
    if flow_t <= flow_s:
        return u, out_t, flow_t, False
    return u, out_s, flow_s, True


@compiled
def push(nodes, n, s, t, join, flow):
    """Send flow around the cycle."""
    if flow == 0:
        return
    root = len(nodes) - 1
    u = s
    while u != join:
        nodes[u].flow += -flow if (u < n or nodes[u].parent == root) else flow
        u = nodes[u].parent
    u = t
    while u != join:
        nodes[u].flow += flow if (u < n or nodes[u].parent == root) else -flow
        u = nodes[u].parent


@compiled
def rehang(nodes, u, v, out, join, arc, flow, joint):
    """Make u the top of the subtree of ``out``, and hang it under v by the entering arc."""
    size = nodes[out].size
    w = nodes[out].parent
    while w != join:
        nodes[w].size -= size
        w = nodes[w].parent
    w = v
    while w != join:
        nodes[w].size += size
        w = nodes[w].parent
    above, inner = v, 0
    while True:
        node = nodes[u]
        parent, old_arc, old_flow, old_joint, old_size = (
            node.parent,
            node.arc,
            node.flow,
            node.joint,
            node.size,
        )
        node.parent, node.arc, node.flow, node.joint = above, arc, flow, joint
        node.size = size - inner
        if u == out:
            return
        inner = old_size
        above, arc, flow, joint = u, old_arc, old_flow, old_joint
        u = parent
