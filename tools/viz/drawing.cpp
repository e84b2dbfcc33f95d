#include "tools/viz/drawing.h"

#include "ir/ops.h"

#include <algorithm>
#include <map>
#include <set>

namespace netc {

namespace {

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// Seed, step number, learning rate: every layer may read them, so lines to them would only tangle
/// the picture.
bool is_control(const Node& node) {
  return node.op == &ops::feed && !node.results.empty() && node.result()->type.shape.size() <= 1 &&
         node.result()->type.elements() <= 2;
}

/// What autodiff starts from: the cotangent of the loss.
bool is_cotangent_seed(const Node& node) {
  return node.op == &ops::constant && ends_with(node.name, ".one");
}

/// `conv1` of `conv1.weight_grad`; empty when the name is not that of a gradient.
std::string differentiated(std::string name) {
  size_t dot = name.rfind('.');
  if (dot != name.npos && name.find_first_not_of("0123456789", dot + 1) == name.npos)
    name.resize(dot); // made unique by a number
  dot = name.rfind('.');
  return dot == name.npos || name.find("grad", dot) == name.npos ? "" : name.substr(0, dot);
}

class Opener {
public:
  explicit Opener(bool show_parameters) : show_parameters_(show_parameters) {}

  Drawing run(const Graph& graph) {
    open(graph, -1);
    for (const Graph::Output& output : graph.outputs)
      if (auto it = index_.find(meant(output.value)->node); it != index_.end())
        drawing_.nodes[it->second].outputs.push_back(output.name);
    find_parts(graph);
    find_layers();
    count();
    return std::move(drawing_);
  }

private:
  /// The value that an argument or a result of a fused node stands for.
  const Value* meant(const Value* value) const {
    auto it = meaning_.find(value);
    return it == meaning_.end() ? value : it->second;
  }

  void open(const Graph& graph, int group) {
    for (const auto& node : graph.nodes) {
      if (node->body)
        open_fused(*node, group);
      else if (node->op == &ops::parameter && !show_parameters_)
        continue;
      else if (!is_control(*node) &&
               !meaning_.count(node->results.empty() ? nullptr : node->result()))
        add(*node, group);
    }
  }

  void open_fused(const Node& fused, int parent) {
    drawing_.groups.push_back({&fused, parent});
    int group = static_cast<int>(drawing_.groups.size()) - 1;
    for (const auto& inner : fused.body->nodes)
      if (inner->op == &ops::argument && inner->attrs.has("index"))
        if (auto i = static_cast<size_t>(inner->attrs.integer("index")); i < fused.operands.size())
          meaning_[inner->result()] = meant(fused.operands[i]);
    open(*fused.body, group);
    for (size_t i = 0; i < fused.results.size() && i < fused.body->outputs.size(); ++i)
      meaning_[fused.results[i].get()] = meant(fused.body->outputs[i].value);
  }

  void add(const Node& node, int group) {
    const size_t index = drawing_.nodes.size();
    index_[&node] = index;
    DrawnNode drawn;
    drawn.node = &node;
    drawn.group = group;
    drawn.entrance = node.operands.empty();
    std::set<const Node*> seen;
    for (const Value* operand : node.operands) {
      const Value* value = meant(operand);
      if (!seen.insert(value->node).second)
        continue;
      if (value->node->op == &ops::parameter && value->node->attrs.flag("trainable") &&
          counted_.insert(value).second)
        drawn.parameters.push_back(value);
      if (is_control(*value->node))
        drawn.reads.push_back(value);
      if (auto it = index_.find(value->node); it != index_.end())
        drawing_.edges.push_back({static_cast<int>(it->second), static_cast<int>(index)});
    }
    drawing_.nodes.push_back(std::move(drawn));
  }

  void find_parts(const Graph& graph) {
    std::set<const Node*> stored;
    for (const Graph::Store& store : graph.stores)
      stored.insert(meant(store.value)->node);
    for (DrawnNode& drawn : drawing_.nodes)
      if (is_cotangent_seed(*drawn.node))
        drawn.part = Part::backward;
    for (const DrawnEdge& edge : drawing_.edges) // in the order of their ends
      if (drawing_.nodes[static_cast<size_t>(edge.from)].part == Part::backward) {
        DrawnNode& to = drawing_.nodes[static_cast<size_t>(edge.to)];
        to.part = stored.count(to.node) ? Part::update : Part::backward;
      }
  }

  void find_layers() {
    std::set<std::string> forward;
    for (DrawnNode& drawn : drawing_.nodes)
      if (drawn.part == Part::forward && !drawn.entrance)
        forward.insert(drawn.layer = drawn.node->name);
    for (DrawnNode& drawn : drawing_.nodes)
      if (drawn.part == Part::backward)
        if (std::string layer = differentiated(drawn.node->name); forward.count(layer))
          drawn.layer = layer;
    for (const DrawnEdge& edge : drawing_.edges) {
      DrawnNode& to = drawing_.nodes[static_cast<size_t>(edge.to)];
      const DrawnNode& from = drawing_.nodes[static_cast<size_t>(edge.from)];
      if (to.part == Part::update && from.part == Part::backward)
        to.layer = from.layer;
    }
  }

  void count() {
    for (const Value* parameter : counted_)
      drawing_.parameters += parameter->type.elements();
    for (const DrawnNode& drawn : drawing_.nodes) {
      int64_t macs = multiply_adds(*drawn.node);
      drawing_.macs += macs;
      drawing_.forward_macs += drawn.part == Part::forward ? macs : 0;
      const bool images = drawn.node->op == &ops::feed && !drawn.node->results.empty() &&
                          drawn.node->result()->type.shape.size() > 1;
      if (images && drawing_.batch == 1)
        drawing_.batch = std::max<int64_t>(1, drawn.node->result()->type.shape[0]);
    }
  }

  bool show_parameters_;
  Drawing drawing_;
  std::map<const Node*, size_t> index_; ///< Of the nodes drawn so far.
  std::map<const Value*, const Value*> meaning_;
  std::set<const Value*> counted_; ///< Parameters that have been counted.
};

} // namespace

Drawing make_drawing(const Graph& graph, bool show_parameters) {
  return Opener(show_parameters).run(graph);
}

int64_t multiply_adds(const Node& node) {
  return node.op->is_contraction() && node.op->macs ? node.op->macs(node) : 0;
}

} // namespace netc
