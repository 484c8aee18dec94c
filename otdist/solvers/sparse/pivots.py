"""Pivots of the network simplex, a window of them at a time.

At the start of a window the tree is laid out in preorder, and potentials are stored by position.
Each pivot removes one arc of the tree and adds one; ``tree_fragments`` tracks how the layout changes.
"""

from __future__ import annotations

import numpy as np

from otdist.solvers.pairs.compiled import jit
from otdist.solvers.sparse.tree import lay_out
from otdist.solvers.sparse.tree_fragments import add_joint, reset_window, shift_subtree, split_fragment

UNBOUNDED = np.iinfo(np.int64).max


@jit
def run_pivots(tree, window, n, source, sink, cost, count, cursor, block, tol, pivots):
    """Pivot until the window is full or no arc of the first ``count`` has a reduced cost < -tol.

    Returns the number of pivots, and the arc at which the next search starts: -1 if the basis is optimal.
    """
    lay_out(tree, n, cost, window.child, window.chain)
    reset_window(window)
    fragments, intervals = 1, 1
    for done in range(pivots):
        arc, cursor = find_entering_arc(tree, source, sink, cost, count, cursor, block, tol)
        if arc < 0:
            return done, -1
        s, t = source[arc], sink[arc]
        join, out, flow, by_source = find_leaving_arc(tree.nodes, n, s, t)
        push_flow(tree.nodes, n, s, t, join, flow)
        u, v = (s, t) if by_source else (t, s)  # the subtree of `out` will be linked to v by u
        pi_u, pi_v = tree.pi[tree.place[u]], tree.pi[tree.place[v]]
        shift = pi_v - cost[arc] - pi_u if by_source else pi_v + cost[arc] - pi_u
        joint = tree.nodes[out].joint
        if joint >= 0:
            window.alive[joint] = 0
        else:
            intervals = split_fragment(tree, window, out, fragments, intervals, done)
            fragments += 1
        shift_subtree(tree, window, u, out, shift, fragments, done)
        add_joint(window, done, tree.place[s], tree.place[t])
        relink(tree.nodes, u, v, out, join, arc, flow, done)
    return pivots, cursor


@jit
def find_entering_arc(tree, source, sink, cost, count, cursor, block, tol):
    """Block search: find the smallest reduced cost in the first block of arcs that has one < -tol."""
    place, pi = tree.place, tree.pi
    best, arc = -tol, -1
    priced = 0
    if cursor >= count:
        cursor = 0
    while priced < count:
        stop = min(cursor + block, count)
        for e in range(cursor, stop):
            r = cost[e] + pi[place[source[e]]] - pi[place[sink[e]]]
            if r < best:  # arcs of the tree have r = 0 up to rounding, so they need no mark
                best, arc = r, e
        priced += stop - cursor
        cursor = stop if stop < count else 0
        if arc >= 0:
            break
    return arc, cursor


@jit
def find_leaving_arc(nodes, n, s, t):
    """Find the common ancestor of s and t, and the first arc of the cycle that loses its flow.

    Of several arcs, the last one along the cycle from the common ancestor is chosen: then all empty arcs of
    the tree lead to the root (it is strongly feasible), and the method cannot cycle (Cunningham 1976).
    Returns (common ancestor, lower node of the arc, its flow, whether it is on the path from s).
    """
    root = len(nodes) - 1
    flow_s, flow_t = UNBOUNDED, UNBOUNDED
    out_s = out_t = -1
    u, v = s, t
    while u != v:
        if v == root or (u != root and nodes[u].size <= nodes[v].size):
            # Downwards on this side: arcs that lead upwards (of sources, and connectors) lose flow.
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


@jit
def push_flow(nodes, n, s, t, join, flow):
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


@jit
def relink(nodes, u, v, out, join, arc, flow, joint):
    """Make u the root of the subtree of ``out``, and link it to v by the entering arc."""
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
