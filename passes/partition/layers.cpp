#include "passes/partition/layers.h"

#include "ir/ops.h"

#include <algorithm>

namespace netc {

namespace {

/// Loops that a word may mean, the first that an operator has.
std::vector<std::string> factors_of(Cut cut) {
  switch (cut) {
  case Cut::data:
    return {"batch"};
  case Cut::filter:
    return {"group", "out_channel", "out_feature", "class", "channel"};
  case Cut::channel:
    return {"in_channel", "in_feature"};
  case Cut::spatial:
    return {"height"};
  default:
    return {};
  }
}

} // namespace

bool is_cut(const Node& node) {
  return node.op != &ops::parameter && node.op != &ops::feed && !node.op->is_update();
}

const Value* followed(const Node& node) {
  for (const Value* operand : node.operands)
    if (is_cut(*operand->node))
      return operand;
  return nullptr;
}

std::optional<Factor> factor_for(const Node& node, Cut cut) {
  for (const std::string& name : factors_of(cut))
    if (std::optional<Factor> factor = find_factor(node, name))
      if (factor->name != "group" || factor->extent > 1)
        return factor;
  return std::nullopt;
}

std::vector<int64_t> bounds_for(const std::vector<int64_t>& bounds, const Factor& factor,
                                int devices) {
  if (bounds.empty())
    return even_bounds(factor.extent, devices);
  std::vector<int64_t> scaled;
  for (int64_t bound : bounds)
    scaled.push_back((bound * factor.extent + bounds.back() / 2) / bounds.back());
  return scaled;
}

GraphLayers::GraphLayers(const Graph& graph, const PartitionSpecification& specification,
                         const GradientOrigins& origins)
    : specification_(specification) {
  std::map<std::pair<int, int>, std::string> by_place;
  for (const LayerPlace& layer : specification.layers) {
    names_.push_back(layer.name);
    if (layer.loc.known())
      by_place[{layer.loc.line, layer.loc.column}] = layer.name;
    places_[layer.name] = &layer;
  }
  for (const auto& node : graph.nodes) {
    if (specification.layers.empty())
      names_.push_back(node->name);
    auto name = by_place.find({node->loc.line, node->loc.column});
    const std::string& layer = layers_[node.get()] =
        name == by_place.end() ? node->name : name->second;
    const Node*& main = main_[layer];
    if (origins.count(node.get()) || !is_cut(*node))
      continue;
    if (node->op->is_contraction() || node->op == &ops::class_max)
      main = node.get();
    else if (!main && node->name == layer)
      main = node.get();
  }
  for (const auto& node : graph.nodes)
    if (!origins.count(node.get()))
      find_values_before(*node);
}

void GraphLayers::find_values_before(const Node& node) {
  auto place = places_.find(of(node));
  if (place == places_.end())
    return;
  const std::vector<std::string>& from = place->second->from;
  for (size_t i = 0; i < std::min(from.size(), node.operands.size()); ++i)
    if (const Node& read = *node.operands[i]->node;
        is_cut(read) && of(read) != of(node) && !main_.count(from[i]))
      values_[from[i]] = node.operands[i];
}

const Node* GraphLayers::main(const std::string& layer) const {
  auto it = main_.find(layer);
  return it == main_.end() ? nullptr : it->second;
}

const Value* GraphLayers::value_without_node(const std::string& layer) const {
  auto it = values_.find(layer);
  return it == values_.end() ? nullptr : it->second;
}

Loc GraphLayers::loc(const std::string& layer) const {
  if (auto it = places_.find(layer); it != places_.end())
    return it->second->loc;
  const Node* node = main(layer);
  return node ? node->loc : Loc{};
}

LayerCut GraphLayers::asked(const std::string& layer) const {
  auto it = specification_.strategy.layers.find(layer);
  return it == specification_.strategy.layers.end() ? LayerCut{} : it->second;
}

std::vector<std::string> GraphLayers::absent_before(const Node& node) const {
  std::vector<std::string> absent;
  const Value* read = followed(node);
  if (!read || of(*read->node) == of(node))
    return absent;
  for (auto at = places_.find(of(node)); at != places_.end() && !at->second->from.empty();) {
    const std::string& before = at->second->from[0];
    if (main_.count(before))
      break;
    absent.push_back(before);
    at = places_.find(before);
  }
  return absent;
}

} // namespace netc
