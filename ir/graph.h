#pragma once
// Graph IR: nodes apply operators to tensor values, in an order that respects data flow.

#include "ir/attribute.h"
#include "ir/dtype.h"
#include "ir/support/diagnostics.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace netc {

struct OpDef;
class Graph;
struct Node;

/// A tensor computed by a node. Owned by its node.
struct Value {
  std::string name; ///< Unique within its graph, e.g. `conv1` or `pool1.argmax`.
  TensorType type;
  Layout layout = Layout::row_major;
  /// How memory holds its elements, where that is not as their type says: tf32 or bf16, to which
  /// who writes them rounds. Readers have them as they are typed.
  std::optional<DType> storage{};
  Node* node = nullptr; ///< The node that computes it.
  int index = 0;        ///< Which of the node's results it is.

  /// Its type in memory.
  TensorType stored() const { return {storage.value_or(type.dtype), type.shape}; }
};

/// One application of an operator. Owned by its graph.
struct Node {
  const OpDef* op = nullptr;
  std::string name; ///< The layer's name; the first result carries it, too.
  std::vector<Value*> operands;
  Attributes attrs;
  std::vector<std::unique_ptr<Value>> results;
  Loc loc;                     ///< Where the description asked for it.
  std::unique_ptr<Graph> body; ///< Of a `fused` node: what it computes, operands as `argument`s.

  Value* result(int i = 0) const { return results[static_cast<size_t>(i)].get(); }
  bool is(std::string_view op_name) const;
};

/// A dataflow graph. Nodes are kept in execution order: operands are defined before their uses.
///
/// State (weights, momenta) enters through `parameter` nodes; `stores` say which value replaces a
/// parameter once the step is over.
class Graph {
public:
  explicit Graph(std::string name = {}) : name(std::move(name)) {}
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  std::string name;
  std::vector<std::unique_ptr<Node>> nodes;

  struct Output {
    std::string name;
    Value* value;
    /// Where the value is a part of a tensor: the shape of all of that, and where the part begins.
    /// Both empty where it is all of it.
    Shape whole{};
    std::vector<int64_t> at{};
  };
  std::vector<Output> outputs;

  struct Store {
    Value* parameter; ///< Result of a `parameter` node.
    Value* value;     ///< Same type.
  };
  std::vector<Store> stores;

  /// Adds a node before `before` (at the end when null) with results of the given types, named
  /// `name` and `name.<result>` as the operator declares; names are made unique.
  Node* add(const OpDef& op, std::string name, std::vector<Value*> operands, Attributes attrs,
            std::vector<TensorType> types, Loc loc, const Node* before = nullptr);

  Value* find(std::string_view name) const; ///< Null when there is no such value.
  void replace_uses(const Value* from, Value* to);
  /// How often each value is read by nodes, outputs and stores.
  std::unordered_map<const Value*, int> use_counts() const;
  /// The nodes that read each value, in order, once each.
  std::unordered_map<const Value*, std::vector<Node*>> users() const;
  /// Removes the nodes for which `dead` is true; nothing alive may read their results.
  int remove_if(const std::function<bool(const Node&)>& dead);
  /// A name that no value of this graph has: `base`, or `base.2`, `base.3`...
  std::string unique_name(const std::string& base);
  /// A deep copy, bodies included.
  Graph clone() const;

private:
  std::unordered_map<std::string, int> taken_; ///< Names given out, with the last suffix tried.
};

/// Copies `node` to the end of `into`, reading the mapped operands; records the results in `map`.
Node* copy_node(Graph& into, const Node& node, std::unordered_map<const Value*, Value*>& map);

/// The text form; parse_graph(print(g)) prints the same.
std::string print(const Graph& graph);
/// One node as it stands in the text form, without its body.
std::string print(const Node& node);

/// Parses the text form. Throws UserError naming file, line and column when it is malformed.
Graph parse_graph(const std::string& text, const std::string& file_name = "<graph>");

/// Raises InternalError when an invariant of the IR is broken: definition before use, unique names,
/// types and layouts as the operator infers them, stores to parameters of the same type.
void verify(const Graph& graph);

} // namespace netc
