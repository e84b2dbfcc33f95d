#pragma once
// Which values live in the arena, and when.

#include "passes/pass.h"

namespace netc {

/// True for values that need a place in the arena: not state, feeds, constants folded into their
/// readers, graph outputs, or results that replace a parameter in its own memory.
bool in_arena(const Graph& graph, const Value& value);

/// True for results that are not written at all: kernels of pixel operators leave out what nobody
/// reads (the argmax of a pool at inference). `read`: whether a node reads it.
bool is_left_out(const Node& node, bool read);

/// The operand whose memory result `i` may take over if nobody reads it later, or -1.
int in_place_operand(const Node& node, int i);

/// Bytes of values and workspaces alive during each node.
std::vector<int64_t> live_bytes(const Graph& graph, const PassContext& context);
int64_t peak_live_bytes(const Graph& graph, const PassContext& context);

/// Position of the last node that reads each value.
std::unordered_map<const Value*, int> last_uses(const Graph& graph);

} // namespace netc
