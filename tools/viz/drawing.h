#pragma once
// What a picture of a graph shows: its operators with the bodies of fused nodes opened, the data
// that flows between them, and which part of a training step each belongs to.

#include "ir/graph.h"

#include <string>
#include <vector>

namespace netc {

/// The part of a training step that a node belongs to.
enum class Part {
  forward,
  backward, ///< Depends on the cotangent of the loss.
  update,   ///< Computes, from a cotangent, what replaces a parameter.
};

/// A node of the picture: an operator, or where a tensor enters.
struct DrawnNode {
  const Node* node = nullptr;
  Part part = Part::forward;
  int group = -1;        ///< Innermost box it is drawn in; -1: none.
  bool entrance = false; ///< A feed, parameter or constant: drawn small.
  /// Name of the forward node that it belongs to; nodes of one layer stand side by side. Empty: of
  /// none.
  std::string layer;
  std::vector<const Value*> parameters; ///< Trainable ones that no earlier node reads.
  std::vector<const Value*> reads;      ///< Feeds that are named in its label, not drawn.
  std::vector<std::string> outputs;     ///< Outputs of the graph that it computes.
};

/// Some result of a node is read by another; indices of Drawing::nodes.
struct DrawnEdge {
  int from;
  int to;
};

/// The box of a fused node.
struct DrawnGroup {
  const Node* node = nullptr;
  int parent = -1; ///< The box that this one lies in; -1: none.
};

/// References into the graph, which must outlive it.
struct Drawing {
  std::vector<DrawnNode> nodes; ///< In execution order.
  std::vector<DrawnEdge> edges; ///< Without repetitions.
  std::vector<DrawnGroup> groups;
  int64_t batch = 1;      ///< Images a step.
  int64_t parameters = 0; ///< Elements of all trainable parameters.
  int64_t macs = 0;       ///< Multiply-adds of a whole step.
  int64_t forward_macs = 0;
};

/// Opens the fused nodes of `graph`. Parameters become nodes of their own if `show_parameters`.
Drawing make_drawing(const Graph& graph, bool show_parameters);

/// Multiply-adds of a contraction for the whole batch; 0 for other operators.
int64_t multiply_adds(const Node& node);

} // namespace netc
