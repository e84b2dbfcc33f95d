#pragma once
// The record that describes an operator: everything netc knows of it, in one place.

#include "ir/factor.h"
#include "ir/graph.h"
#include "ir/op_lowering.h"

#include <functional>

namespace netc {

/// Declares an operand. `variadic` may stand on the last operand only (concat).
struct OperandDef {
  std::string name;
  std::string doc;
  bool variadic = false;
};

/// Declares a result; the first needs no name.
struct ResultDef {
  std::string name;
  std::string doc;
};

/// What inference sees of a node that is about to be made, and where it leaves the result types.
struct InferContext {
  const OpDef& op;
  std::span<const TensorType> operands;
  Attributes& attrs; ///< Complete: defaults are filled in.
  Loc loc;
  Diagnostics& diagnostics;
  std::string subject; ///< "conv2d `conv1`", for messages.
  std::vector<TensorType> results{};

  /// Reports `subject: message` at the node.
  Diagnostic& error(const std::string& message) const;
  /// Reports an error unless operand `i` has one of the ranks; true when it has.
  bool expect_rank(size_t i, std::initializer_list<size_t> ranks) const;
};

/// Adds nodes to a graph with inference. Invalid uses are netc's fault here: InternalError.
class GraphBuilder {
public:
  explicit GraphBuilder(Graph& graph, Loc loc = {}, const Node* before = nullptr)
      : graph_(graph), loc_(std::move(loc)), before_(before) {}
  /// Applies `op`; attributes not given take their defaults.
  Node* apply(const OpDef& op, std::string name, std::vector<Value*> operands,
              Attributes attrs = {});
  Value* value(const OpDef& op, std::string name, std::vector<Value*> operands,
               Attributes attrs = {}) {
    return apply(op, std::move(name), std::move(operands), std::move(attrs))->result();
  }
  Graph& graph() { return graph_; }
  void set_loc(Loc loc) { loc_ = std::move(loc); }

private:
  Graph& graph_;
  Loc loc_;
  const Node* before_;
};

/// A node being differentiated: cotangents of its results in, cotangents of its operands out.
struct VjpContext {
  GraphBuilder& builder;
  const Node& node;
  std::span<Value* const> cotangents; ///< One a result; null where nothing depends on it.
  std::span<const bool> wanted;       ///< One an operand: whether its cotangent is needed.
};

/// A tensor of the double-precision oracle: logical (row-major) order, all types as double.
struct RefTensor {
  TensorType type;
  std::vector<double> data;
};

/// What a reference implementation sees: operands in, results (sized, zero) to fill.
struct RefContext {
  const Node& node;
  std::vector<const RefTensor*> operands;
  std::vector<RefTensor>& results;
};

/// A parameter (weight, bias) a layer declares: made, initialised and named by the frontend.
struct ParameterRequest {
  std::string name; ///< Suffix: `weight` gives `conv1.weight`.
  TensorType type;
  std::string init;   ///< Key of the layer's `init:` map, e.g. "weight"; default rule otherwise.
  int64_t fan_in = 1; ///< For Xavier and MSRA.
  int64_t fan_out = 1;
};

/// What a layer's builder sees: its inputs, its YAML keys (complete and checked) and the means to
/// make parameters and nodes. Errors go to `diagnostics` at `loc`; a builder that reported one
/// returns null.
struct LayerContext {
  GraphBuilder& builder;
  Diagnostics& diagnostics;
  std::string name;
  std::vector<Value*> inputs;
  const Attributes& keys;
  Loc loc;
  std::function<Value*(const ParameterRequest&)> parameter;
  /// Values every network has: feeds `images`, `labels`, `sample_ids`, `epochs`, `seed`, `step`.
  std::function<Value*(const std::string&)> feed;
  /// Applies an operator with user-facing diagnostics; null when inference reported an error.
  std::function<Node*(const OpDef&, std::string name, std::vector<Value*>, Attributes)> apply;
};

/// How a layer of this operator is written in YAML. Operators without one are not layers.
struct LayerDef {
  std::vector<AttrDef> keys; ///< Empty: the operator's attributes.
  int min_inputs = 1;
  int max_inputs = 1;
  /// Adds the layer to the graph; returns its value or null after an error. Null: the operator is
  /// applied to the inputs.
  Value* (*build)(LayerContext&) = nullptr;
  bool parameters = false; ///< Accepts `init:`.
};

/// An operator. Records are constants with static lifetime; identity is the address.
struct OpDef {
  std::string name;
  std::string doc; ///< One paragraph: what it computes, the formula, its source.
  std::vector<OperandDef> operands;
  std::vector<AttrDef> attrs;
  std::vector<ResultDef> results;
  void (*infer)(InferContext&) = nullptr;
  /// Cotangents of the operands (null where none); null function = not differentiable.
  std::vector<Value*> (*vjp)(VjpContext&) = nullptr;
  /// Multiply-adds, or elementary operations of a map, for the whole batch.
  int64_t (*macs)(const Node&) = nullptr;
  /// Floating-point operations for the whole batch.
  int64_t (*flops)(const Node&) = nullptr;
  std::vector<Factor> (*factors)(const Node&) = nullptr;
  /// Adjusts a share; null: dimensions say all. Loops that are windows need it.
  void (*share)(ShareContext&) = nullptr;
  Lowering lower{};
  void (*reference)(RefContext&) = nullptr;
  std::optional<LayerDef> layer{};
  /// Result i may share the memory of operand `first` (pairs of operand, result).
  std::vector<std::pair<int, int>> in_place{};
  /// What stands in its place at inference; null: itself. Returns the replacement of result 0.
  Value* (*inference)(GraphBuilder&, const Node&) = nullptr;
  /// A local simplification; the value that replaces result 0, or null when there is none.
  Value* (*simplify)(GraphBuilder&, const Node&) = nullptr;

  bool is_contraction() const { return std::holds_alternative<TemplateLowering>(lower); }
  bool is_map() const { return std::holds_alternative<MapLowering>(lower); }
  bool is_update() const { return std::holds_alternative<UpdateLowering>(lower); }
  bool is_pixel() const { return std::holds_alternative<PixelLowering>(lower); }
};

/// All operators in the order of the documentation (the list is ir/ops/CMakeLists.txt).
const std::vector<const OpDef*>& all_ops();
/// The operator of that name, or null.
const OpDef* find_op(std::string_view name);

/// Fills defaults, checks attribute kinds, ranges and operand count, then runs inference. Reports
/// to `context.diagnostics`; false when anything was wrong.
bool infer_node(InferContext& context);

/// Bytes that the node must move: every operand and result once.
int64_t bytes_moved(const Node& node);

/// The Markdown reference of all operators, printed from the records.
std::string operator_reference();

} // namespace netc
