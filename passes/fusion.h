#pragma once
// What the fusing passes share: building fused nodes, and which maps belong to a contraction.

#include "ir/op.h"
#include "passes/pass.h"

#include <unordered_set>

namespace netc {

/// Replaces `members` (in execution order) by one fused node whose body holds copies of them. Its
/// operands are what the members read from outside, its results what is read of them from outside
/// (first those of `main`, which gives it the name). The node takes the place of the last member.
Node* fuse(Graph& graph, const std::vector<Node*>& members, const std::string& kind,
           const Node* main);
/// The same, and the last member is the main one.
Node* fuse(Graph& graph, const std::vector<Node*>& members, const std::string& kind);

/// What must keep its order though no value tells so, as pairs (first, then): a node that replaces
/// a parameter in place comes after its other readers, and exchanges come in one order on all
/// devices.
std::vector<std::pair<Node*, Node*>> implied_order(const Graph& graph);

/// Puts nodes in an order that respects data flow and implied_order, changing as little as
/// possible. Nodes without operands go first.
void sort_topologically(Graph& graph);

/// Where each node stands in the order of execution.
using Positions = std::unordered_map<const Node*, size_t>;
Positions positions_of(const Graph& graph);

/// For each contraction, the maps that can join its epilogue, in order: each reads the result of
/// the one before at the same place, and nothing that is computed after the contraction.
std::unordered_map<const Node*, std::vector<Node*>> epilogue_chains(const Graph& graph);

} // namespace netc
