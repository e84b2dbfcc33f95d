// One graph for each device: every node becomes the devices' shares of it, and where a share reads
// what its device does not hold, an exchange brings it.

#include "ir/ops.h"
#include "passes/partition/partition.h"
#include "passes/partition/samples.h"
#include "passes/passes.h"

#include <algorithm>
#include <deque>

namespace netc {

namespace {

/// A value of the whole graph, as devices have it.
struct Held {
  Sharding sharding;
  std::vector<Value*> values; ///< By device; null where it has none.
};

class GraphCutter {
public:
  GraphCutter(const Graph& whole, const NodeCuts& cuts, const Strategy& strategy)
      : whole_(whole), cuts_(cuts), strategy_(strategy), mesh_(Mesh::line(strategy.devices)) {
    for (int d = 0; d < strategy.devices; ++d)
      graphs_.emplace_back(whole.name);
    sources_.resize(graphs_.size());
  }

  CutStep run() {
    shard_nodes();
    place_parameters();
    place_slices();
    for (const auto& node : whole_.nodes)
      if (!is_source(*node) && shardings_.count(node.get())) { // all that anybody reads
        emit(*node);
        for (const auto& result : node->results)
          prepare_update(*result);
      }
    emit_outputs();
    emit_stores();
    remove_dead();
    return {std::move(graphs_), std::move(origins_)};
  }

private:
  static bool is_source(const Node& node) {
    return node.op == &ops::feed || node.op == &ops::parameter || node.op == &ops::constant;
  }

  size_t devices() const { return graphs_.size(); }
  /// The shares of all nodes but updates, and what devices need of the sources for them.
  void shard_nodes() {
    for (const auto& node : whole_.nodes) {
      if (is_source(*node) || node->op->is_update() || is_slice_of_source(*node))
        continue;
      NodeSharding sharding = shares_of(*node);
      NETC_CHECK(sharding.error.empty(), "an illegal cut: {}", sharding.error);
      need(*node, sharding);
      shardings_[node.get()] = std::move(sharding);
    }
  }

  NodeSharding shares_of(const Node& node) const {
    if (follows(node))
      return following(node, shardings_.at(node.operands[0]->node)
                                 .results[static_cast<size_t>(node.operands[0]->index)]);
    const NodeCut& cut = cuts_.at(&node);
    return node.op == &ops::join_samples ? share_join(node, cut, mesh_)
                                         : shard_node(node, cut, mesh_);
  }

  /// Whether devices do of the node what they can with what they hold.
  bool follows(const Node& node) const { return !node.op->is_update() && !cuts_.count(&node); }

  static NodeSharding following(const Node& node, const Sharding& held) {
    if (node.op == &ops::slice_samples)
      return share_slice(node, held);
    return node.op == &ops::join_samples ? share_join(node, held) : share_sum(node, held);
  }

  static bool is_slice_of_source(const Node& node) {
    return node.op == &ops::slice_samples && is_source(*node.operands[0]->node);
  }

  /// Slices of sources are where they are read: devices hold what they need of the source, and
  /// those that read nothing of the slice do without it.
  void place_slices() {
    auto each = [&](auto place) {
      for (const auto& node : whole_.nodes)
        if (is_slice_of_source(*node) && needed_.count(node->result()))
          place(*node, *node->operands[0], needed_.at(node->result()));
    };
    each([&](const Node& node, const Value& source, const Sharding& read) {
      Sharding& needed = needed_.try_emplace(&source, nowhere()).first->second;
      for (size_t d = 0; d < devices(); ++d)
        if (Box box = read.boxes[d]; !is_empty(box)) {
          box[0] = {node.attrs.integers("ranges").front(), node.attrs.integers("ranges").back()};
          needed.boxes[d] = hull(needed.boxes[d], box);
        }
    });
    each([&](const Node& node, const Value& source, const Sharding& read) {
      Sharding held = needed_.at(&source);
      for (size_t d = 0; d < devices(); ++d)
        if (is_empty(read.boxes[d]))
          held.boxes[d] = {};
      shardings_[&node] = following(node, held);
    });
  }

  void need(const Node& node, const NodeSharding& sharding) {
    for (size_t i = 0; i < node.operands.size(); ++i) {
      const Value* operand = node.operands[i];
      if (!is_source(*operand->node) && !is_slice_of_source(*operand->node))
        continue;
      Sharding& needed = needed_.try_emplace(operand, nowhere()).first->second;
      for (size_t d = 0; d < devices(); ++d)
        needed.boxes[d] = hull(needed.boxes[d], sharding.shares[d].operands[i]);
    }
  }

  Sharding nowhere() const { return {std::vector<Box>(devices()), Combine::none}; }
  /// Updates work on what their device holds of a parameter, or on parts of it.
  void place_parameters() {
    for (const auto& node : whole_.nodes) {
      if (!node->op->is_update())
        continue;
      const Shape& shape = node->result()->type.shape;
      Sharding held = needed_.try_emplace(node->operands[0], nowhere()).first->second;
      if (held.holders().empty())
        held = needed_[node->operands[0]] = replicated(shape, strategy_.devices);
      Sharding updated = held;
      if (strategy_.sharded_update && held.alike() && held.holders().size() > 1)
        updated = cut_among_holders(held);
      NodeSharding sharding{{}, {updated, updated}, ""};
      for (size_t d = 0; d < devices(); ++d) {
        const Box& box = updated.boxes[d];
        Box rate = is_empty(box) ? Box{} : whole_box(node->operands[3]->type.shape);
        sharding.shares.push_back({node->attrs, {box, box, box, rate}, {box, box}, is_empty(box)});
      }
      gradients_[node->operands[1]] = {updated, node.get()};
      shardings_[node.get()] = std::move(sharding);
      need(*node, shardings_[node.get()]);
    }
  }

  /// A value's part on a device as a type.
  static TensorType part_type(const Value& value, const Box& box) {
    return {value.type.dtype, shape_of(box)};
  }

  /// Says of a source or output which part of the whole it is.
  static std::vector<int64_t> begin_of(const Box& box) {
    std::vector<int64_t> begin;
    for (const Range& range : box)
      begin.push_back(range.begin);
    return begin;
  }

  const Held& source(const Value& value) {
    auto [it, fresh] = held_.try_emplace(&value);
    if (!fresh)
      return it->second;
    Held& held = it->second;
    held.sharding = needed_.at(&value);
    for (size_t d = 0; d < devices(); ++d) {
      const Box& box = held.sharding.boxes[d];
      Attributes attrs = value.node->attrs;
      if (!is_empty(box)) {
        attrs.set("shape", shape_of(box));
        if (value.node->op != &ops::constant && box != whole_box(value.type.shape)) {
          attrs.set("whole", value.type.shape);
          attrs.set("at", begin_of(box));
        }
      }
      held.values.push_back(is_empty(box) ? nullptr : add_source(d, value, std::move(attrs), box));
    }
    return held;
  }

  Value* add_source(size_t device, const Value& value, Attributes attrs, const Box& box) {
    Graph& graph = graphs_[device];
    const Node* first =
        sources_[device] < graph.nodes.size() ? graph.nodes[sources_[device]].get() : nullptr;
    ++sources_[device];
    Node* node = graph.add(*value.node->op, value.node->name, {}, std::move(attrs),
                           {part_type(value, box)}, value.node->loc, first);
    node->result()->layout = value.layout;
    origins_[node] = {value.node, nullptr};
    return node->result();
  }

  const Held& held(const Value& value) {
    return is_source(*value.node) ? source(value) : held_.at(&value);
  }

  /// The value with (at least) the boxes of `to` on each device, exchanged if need be: out of what
  /// was brought before, where nothing need be sent then.
  const Held& bring(const Value& value, const Sharding& to, const Node* reader) {
    const Held* have = &held(value);
    if (holds(have->sharding, to, std::equal_to<>()))
      return *have;
    std::deque<Held>& brought = brought_[&value];
    for (const Held& copy : brought)
      if (holds(copy.sharding, to, std::equal_to<>()))
        return copy;
      else if (!holds(have->sharding, to, contains) && holds(copy.sharding, to, contains))
        have = &copy;
    return brought.emplace_back(exchange(value, *have, to, {}, reader));
  }

  /// Whether each device has what it is to have, if anything: suits(what it has, what it is to).
  template <class Suits> static bool holds(const Sharding& have, const Sharding& to, Suits suits) {
    for (int d = 0; d < to.devices(); ++d)
      if (!is_empty(to.at(d)) && !suits(have.at(d), to.at(d)))
        return false;
    return !have.partial();
  }

  /// An exchange on every device. `into`: what the results replace, by device; empty: nothing.
  Held exchange(const Value& value, const Held& have, const Sharding& to,
                const std::vector<Value*>& into, const Node* reader) {
    Held result{to, std::vector<Value*>(devices(), nullptr)};
    const int count = ++exchanges_[&value];
    const std::string name = count == 1 ? fmt::format("{}.exchange", value.name)
                                        : fmt::format("{}.exchange{}", value.name, count);
    for (size_t d = 0; d < devices(); ++d) {
      std::vector<Value*> operands;
      if (have.values[d])
        operands.push_back(have.values[d]);
      if (!into.empty() && into[d])
        operands.push_back(into[d]);
      std::vector<TensorType> types;
      if (!is_empty(to.boxes[d]))
        types.push_back(part_type(value, to.boxes[d]));
      Attributes attrs = {{"shape", value.type.shape},
                          {"dtype", std::string(to_string(value.type.dtype))},
                          {"from", print(have.sharding)},
                          {"to", print(to)},
                          {"device", static_cast<int64_t>(d)}};
      Node* node = graphs_[d].add(ops::exchange, name, std::move(operands), std::move(attrs),
                                  std::move(types), value.node->loc);
      node->name = name; // the same on all devices, whatever else they have
      origins_[node] = {value.node, reader};
      if (!node->results.empty()) {
        node->result()->layout = value.layout;
        result.values[d] = node->result();
      }
    }
    return result;
  }

  /// The shares of a node on all devices.
  void emit(const Node& node) {
    const NodeSharding& sharding = shardings_.at(&node);
    std::vector<const Held*> operands;
    for (size_t i = 0; i < node.operands.size(); ++i) {
      Sharding to = nowhere();
      for (size_t d = 0; d < devices(); ++d)
        to.boxes[d] = sharding.shares[d].operands[i];
      operands.push_back(follows(node) ? &held(*node.operands[i])
                                       : &bring(*node.operands[i], to, &node));
    }
    for (size_t i = 0; i < node.results.size(); ++i)
      held_[node.result(static_cast<int>(i))] = {sharding.results[i],
                                                 std::vector<Value*>(devices(), nullptr)};
    for (size_t d = 0; d < devices(); ++d)
      if (!sharding.shares[d].idle)
        emit_share(node, sharding, operands, d);
  }

  void emit_share(const Node& node, const NodeSharding& sharding,
                  const std::vector<const Held*>& operands, size_t d) {
    const NodeShare& share = sharding.shares[d];
    std::vector<Value*> values;
    for (size_t i = 0; i < operands.size(); ++i)
      if (!is_empty(share.operands[i]))
        values.push_back(operands[i]->values[d]);
    if (copies_all(node, share)) {
      held_[node.result()].values[d] = values[0];
      return;
    }
    GraphBuilder builder(graphs_[d], node.loc);
    Node* local = builder.apply(*node.op, node.name, std::move(values), share.attrs);
    origins_[local] = {&node, nullptr};
    for (size_t i = 0; i < node.results.size(); ++i) {
      const Value* whole = node.result(static_cast<int>(i));
      Value* value = local->result(static_cast<int>(i));
      value->layout = whole->layout;
      held_[whole].values[d] =
          owned_part(builder, *whole, value, share.computed[i], sharding.results[i].boxes[d]);
    }
  }

  /// The device's part of what it computed, which may have more channels than are right.
  Value* owned_part(GraphBuilder& builder, const Value& whole, Value* value, const Box& computed,
                    const Box& owned) {
    NETC_CHECK(value->type == part_type(whole, computed), "`{}` is {}, expected {}", value->name,
               value->type.str(), part_type(whole, computed).str());
    if (computed == owned)
      return value;
    Box part = relative(owned, computed);
    Value* slice = builder.value(ops::slice_channels, value->name + ".own", {value},
                                 {{"begin", part[1].begin}, {"end", part[1].end}});
    slice->layout = whole.layout;
    origins_[slice->node] = {whole.node, nullptr};
    NETC_CHECK(slice->type == part_type(whole, owned), "`{}` computes more than channels",
               whole.name);
    return slice;
  }

  /// Partial gradients are on their way as soon as they are computed.
  void prepare_update(const Value& value) {
    if (auto it = gradients_.find(&value); it != gradients_.end())
      bring(value, it->second.sharding, it->second.update);
  }

  void emit_outputs() {
    for (const Graph::Output& output : whole_.outputs) {
      const Value& value = *output.value;
      const Sharding one = on_device(value.type.shape, strategy_.devices, 0);
      const bool partial = held(value).sharding.partial();
      const Held& whole = partial ? bring(value, one, nullptr) : held(value);
      for (size_t d = 0; d < devices(); ++d) {
        if (partial && held(value).values[d])
          name_partial(d, *held(value).values[d], whole.values[d]);
        if (whole.values[d] && is_first_holder(whole.sharding, d))
          graphs_[d].outputs.push_back(
              {output.name, whole.values[d], value.type.shape, begin_of(whole.sharding.boxes[d])});
      }
    }
  }

  /// An output has the name of the value that it is the whole of; a partial result gives it up.
  void name_partial(size_t device, Value& partial, Value* whole) {
    const std::string name = partial.name;
    partial.name = graphs_[device].unique_name(name + ".partial");
    if (whole)
      whole->name = name;
  }

  /// Whether no device before holds the same part.
  static bool is_first_holder(const Sharding& sharding, size_t device) {
    const std::vector<Box>& boxes = sharding.boxes;
    return &*std::find(boxes.begin(), boxes.end(), boxes[device]) == &boxes[device];
  }

  /// Last, so that all updates may be one kernel.
  void emit_stores() {
    for (const Graph::Store& store : whole_.stores) {
      const Held parameter = held(*store.parameter);
      Held value = held(*store.value);
      if (value.sharding != parameter.sharding)
        value = exchange(*store.value, value, parameter.sharding, parameter.values, nullptr);
      for (size_t d = 0; d < devices(); ++d)
        if (parameter.values[d])
          graphs_[d].stores.push_back({parameter.values[d], value.values[d]});
    }
  }

  /// Where all devices do a layer, some may not go on from it.
  void remove_dead() {
    std::unordered_map<const Node*, CutOrigin> origins;
    for (Graph& graph : graphs_) {
      PassContext context;
      eliminate_dead_code(graph, context);
      for (const auto& node : graph.nodes)
        origins[node.get()] = origins_.at(node.get());
    }
    origins_ = std::move(origins);
  }

  const Graph& whole_;
  const NodeCuts& cuts_;
  const Strategy& strategy_;
  const Mesh mesh_;
  std::vector<Graph> graphs_;
  std::vector<size_t> sources_; ///< How many nodes at the front of each graph are sources.
  std::unordered_map<const Node*, NodeSharding> shardings_;
  std::unordered_map<const Value*, Sharding> needed_; ///< Of sources, and of slices of them.
  struct Gradient {
    Sharding sharding; ///< As the update reads it.
    const Node* update;
  };
  std::unordered_map<const Value*, Gradient> gradients_;
  std::unordered_map<const Value*, Held> held_;
  std::unordered_map<const Value*, int> exchanges_; ///< How many there are of a value.
  std::unordered_map<const Node*, CutOrigin> origins_;
  /// What exchanges made of a value.
  std::unordered_map<const Value*, std::deque<Held>> brought_;
};

} // namespace

CutStep cut_graph(const Graph& graph, const NodeCuts& cuts, const Strategy& strategy) {
  return GraphCutter(graph, cuts, strategy).run();
}

} // namespace netc
