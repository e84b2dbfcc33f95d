#include "tests/support/partitioned.h"

#include "ir/exchange.h"
#include "ir/ops.h"
#include "tests/support/parts.h"

#include <algorithm>

namespace netc::test {

namespace {

/// One device: its values, and how far it has come.
struct Device {
  const Graph* graph;
  std::unordered_map<const Value*, RefTensor> values{};
  size_t next = 0; ///< Of the nodes.

  bool done() const { return next == graph->nodes.size(); }
  const Node& node() const { return *graph->nodes[next]; }
};

/// What a tensor is of a whole one.
struct Part {
  TensorType whole;
  Box box;
};

/// `whole` and `at` are empty where the tensor is all of it.
Part part_of(const TensorType& type, const Shape& whole, const std::vector<int64_t>& at) {
  if (whole.empty())
    return {type, whole_box(type.shape)};
  Box box;
  for (size_t d = 0; d < at.size(); ++d)
    box.push_back({at[d], at[d] + type.shape.at(d)});
  return {{type.dtype, whole}, box};
}

Part part_of(const Value& leaf) {
  const Attributes& attrs = leaf.node->attrs;
  return attrs.has("whole") ? part_of(leaf.type, attrs.integers("whole"), attrs.integers("at"))
                            : part_of(leaf.type, {}, {});
}

void expect_sound(const Assembly& tensor, const Box& wanted, const std::string& name) {
  NETC_CHECK(tensor.missing(wanted) == 0, "nobody has {} elements of {} of `{}`",
             tensor.missing(wanted), to_text(wanted), name);
  NETC_CHECK(tensor.differing() == 0, "devices have {} different elements of `{}`",
             tensor.differing(), name);
}

/// All devices.
class Partitioned {
public:
  Partitioned(const std::vector<Graph>& graphs, const Tensors& inputs) : inputs_(inputs) {
    for (const Graph& graph : graphs)
      devices_.push_back({&graph});
  }

  void run() {
    for (;;) {
      for (Device& device : devices_)
        while (!device.done() && device.node().op != &ops::exchange)
          step(device);
      if (std::all_of(devices_.begin(), devices_.end(), [](const Device& d) { return d.done(); }))
        return;
      meet();
    }
  }

  Tensors results() const {
    std::map<std::string, Assembly> tensors;
    auto add = [&](const std::string& name, const Part& part, const RefTensor& value) {
      Assembly& tensor = tensors.try_emplace(name, part.whole).first->second;
      NETC_CHECK(tensor.whole().type == part.whole, "`{}` is {} and {}", name,
                 tensor.whole().type.str(), part.whole.str());
      tensor.add(part.box, value, Combine::none);
    };
    for (const Device& device : devices_) {
      for (const Graph::Output& output : device.graph->outputs)
        add(output.name, part_of(output.value->type, output.whole, output.at),
            device.values.at(output.value));
      for (const Graph::Store& store : device.graph->stores)
        add(store.parameter->name, part_of(*store.parameter), device.values.at(store.value));
    }
    Tensors whole;
    for (const auto& [name, tensor] : tensors) {
      expect_sound(tensor, whole_box(tensor.whole().type.shape), name);
      whole[name] = tensor.whole();
    }
    return whole;
  }

private:
  void step(Device& device) {
    const Node& node = device.node();
    ++device.next;
    if (node.op == &ops::feed || node.op == &ops::parameter) {
      device.values[node.result()] = input(*node.result());
      return;
    }
    std::vector<const RefTensor*> operands;
    for (const Value* operand : node.operands)
      operands.push_back(&device.values.at(operand));
    std::vector<RefTensor> results = interpret_node(node, operands);
    for (size_t i = 0; i < results.size(); ++i)
      device.values[node.results[i].get()] = std::move(results[i]);
  }

  RefTensor input(const Value& leaf) const {
    auto it = inputs_.find(leaf.name);
    NETC_CHECK(it != inputs_.end(), "no input `{}`", leaf.name);
    const Part part = part_of(leaf);
    NETC_CHECK(it->second.type == part.whole, "input `{}` is {}, expected {}", leaf.name,
               it->second.type.str(), part.whole.str());
    return crop(it->second, part.box);
  }

  /// Every device stands at an exchange, or is done: it must be the same one.
  void meet() {
    const Device& waiting =
        *std::find_if(devices_.begin(), devices_.end(), [](const Device& d) { return !d.done(); });
    const Exchange exchange = exchange_of(waiting.node());
    NETC_CHECK(exchange.from.boxes.size() == devices_.size() &&
                   exchange.to.boxes.size() == devices_.size(),
               "exchange `{}` is not of {} devices", exchange.name, devices_.size());
    Assembly tensor(exchange.type);
    for (size_t d = 0; d < devices_.size(); ++d) {
      const Device& device = devices_[d];
      NETC_CHECK(!device.done(), "device {} is done, others wait in exchange `{}`", d,
                 exchange.name);
      const Node& node = device.node();
      NETC_CHECK(exchange_of(node) == exchange, "device {} waits in exchange `{}`, others in `{}`",
                 d, node.name, exchange.name);
      NETC_CHECK(node.attrs.integer("device") == static_cast<int64_t>(d),
                 "exchange `{}` of device {} says that it is device {}", exchange.name, d,
                 node.attrs.integer("device"));
      if (const Box& box = exchange.from.boxes[d]; !is_empty(box))
        tensor.add(box, device.values.at(node.operands.at(0)), exchange.from.combine);
    }
    for (size_t d = 0; d < devices_.size(); ++d) {
      Device& device = devices_[d];
      const Box& box = exchange.to.boxes[d];
      expect_sound(tensor, box, exchange.name);
      if (!is_empty(box))
        device.values[device.node().result()] = crop(tensor.whole(), box);
      ++device.next;
    }
  }

  const Tensors& inputs_;
  std::vector<Device> devices_;
};

} // namespace

Tensors interpret_partitioned(const std::vector<Graph>& devices, const Tensors& inputs) {
  Partitioned partitioned(devices, inputs);
  partitioned.run();
  return partitioned.results();
}

} // namespace netc::test
