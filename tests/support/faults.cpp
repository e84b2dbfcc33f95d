#include "tests/support/faults.h"

#include "ir/exchange.h"
#include "ir/ops.h"

#include <algorithm>

namespace netc::test {

namespace {

using Graphs = std::vector<Graph>;

std::vector<Node*> exchanges_in(const Graph& graph) {
  std::vector<Node*> list;
  for (const auto& node : graph.nodes)
    if (node->op == &ops::exchange)
      list.push_back(node.get());
  return list;
}

Node* exchange_at(const Graph& graph, size_t index) {
  return exchanges_in(graph).at(index);
}

/// Leaves an exchange out: what the device had is taken for what it was to get, or zeros are.
void drop(Graph& graph, size_t index) {
  Node* node = exchange_at(graph, index);
  if (!node->results.empty()) {
    Value* result = node->result();
    Value* instead = node->operands.empty() ? nullptr : node->operands[0];
    if (!instead || instead->type != result->type) {
      Attributes zeros = {{"value", 0.0}, {"shape", result->type.shape}};
      instead = graph.add(ops::constant, "nothing", {}, zeros, {result->type}, {}, node)->result();
      instead->layout = result->layout;
    }
    graph.replace_uses(result, instead);
  }
  graph.remove_if([&](const Node& each) { return &each == node; });
}

/// Puts an exchange before the one it follows.
void swap(Graph& graph, size_t index) {
  auto at = [&](size_t i) {
    return std::find_if(graph.nodes.begin(), graph.nodes.end(),
                        [node = exchange_at(graph, i)](const auto& n) { return n.get() == node; });
  };
  std::rotate(at(index), at(index + 1), at(index + 1) + 1);
}

/// Rewrites the shardings of an exchange, on one device or (-1) on all.
void reshard(Graphs& graphs, size_t index, int device,
             const std::function<void(Exchange&)>& change) {
  for (size_t d = 0; d < graphs.size(); ++d) {
    if (device >= 0 && d != static_cast<size_t>(device))
      continue;
    Node* node = exchange_at(graphs[d], index);
    Exchange exchange = exchange_of(*node);
    change(exchange);
    node->attrs.set("from", print(exchange.from));
    node->attrs.set("to", print(exchange.to));
  }
}

class FaultLister {
public:
  explicit FaultLister(const Graphs& graphs) : graphs_(graphs) {}

  std::vector<Fault> run() {
    const std::vector<Node*> exchanges = exchanges_in(graphs_[0]);
    for (index_ = 0; index_ < exchanges.size(); ++index_) {
      exchange_ = exchange_of(*exchanges[index_]);
      drops();
      combines();
      for (device_ = 0; device_ < graphs_.size(); ++device_) {
        if (index_ + 1 < exchanges.size())
          add("swapped", [i = index_, d = device_](Graphs& g) { swap(g[d], i); });
        omission();
        boxes(&Exchange::from, "from");
        boxes(&Exchange::to, "to");
      }
    }
    for (device_ = 0; device_ < graphs_.size(); ++device_) {
      for (size_t n = 0; n < graphs_[device_].nodes.size(); ++n)
        places(n);
      for (size_t o = 0; o < graphs_[device_].outputs.size(); ++o)
        output(o);
    }
    return std::move(faults_);
  }

private:
  void add(const std::string& kind, std::function<void(Graphs&)> plant,
           const std::string& more = "") {
    faults_.push_back({kind,
                       fmt::format("{}: exchange {} (`{}`), device {} {}", kind, index_,
                                   exchange_.name, device_, more),
                       std::move(plant)});
  }

  bool is_read(size_t device) const {
    const Node* node = exchange_at(graphs_[device], index_);
    return !node->results.empty() && graphs_[device].use_counts()[node->result()] > 0;
  }

  void drops() {
    for (device_ = 0; device_ < graphs_.size(); ++device_)
      add("dropped on one", [i = index_, d = device_](Graphs& g) { drop(g[d], i); });
    device_ = 0;
    for (size_t d = 0; d < graphs_.size(); ++d)
      if (is_read(d))
        return add("dropped on all", [i = index_](Graphs& g) {
          for (Graph& graph : g)
            drop(graph, i);
        });
  }

  void combines() {
    if (!exchange_.from.partial())
      return;
    const Combine other = exchange_.from.combine == Combine::sum ? Combine::max : Combine::sum;
    for (int device : {-1, static_cast<int>(graphs_.size()) - 1})
      for (Combine combine : {Combine::none, other})
        add(
            "combined otherwise",
            [=, i = index_](Graphs& g) {
              reshard(g, i, device, [&](Exchange& e) { e.from.combine = combine; });
            },
            fmt::format("({}) {}", device, to_string(combine)));
  }

  /// Nobody takes what the device has.
  void omission() {
    const bool needed = exchange_.from.partial() || exchange_.from.disjoint();
    if (!needed || is_empty(exchange_.from.boxes[device_]))
      return;
    add("left out", [i = index_, d = device_](Graphs& g) {
      reshard(g, i, -1, [&](Exchange& e) { e.from.boxes[d] = {}; });
      Node* node = exchange_at(g[d], i);
      node->operands.erase(node->operands.begin());
    });
  }

  /// Parts that are shifted by one, where there is room, and that end one earlier.
  void boxes(Sharding Exchange::*side, const char* name) {
    const Box& box = (exchange_.*side).boxes[device_];
    for (size_t k = 0; k < box.size() && !is_empty(box); ++k) {
      const int64_t room = exchange_.type.shape[k] - box[k].end;
      if (room == 0 && box[k].begin == 0)
        continue;
      const int64_t by = room > 0 ? 1 : -1;
      auto change = [=, this](const std::string& kind, int64_t begin, int64_t end) {
        add(
            kind,
            [=, i = index_, d = device_](Graphs& g) {
              reshard(g, i, -1, [&](Exchange& e) {
                (e.*side).boxes[d][k].begin += begin;
                (e.*side).boxes[d][k].end += end;
              });
            },
            fmt::format("{}, dimension {}", name, k));
      };
      change("shifted", by, by);
      change("other bound", 0, -1);
    }
  }

  /// A node of the device that takes its part for another one.
  void places(size_t n) {
    const Node& node = *graphs_[device_].nodes[n];
    auto place = [&](const std::string& attr, const std::function<void(Attributes&)>& change) {
      faults_.push_back(
          {"elsewhere", fmt::format("elsewhere: {} of `{}` on device {}", attr, node.name, device_),
           [=, d = device_](Graphs& g) { change(g[d].nodes[n]->attrs); }});
    };
    if (node.attrs.has("first_class"))
      place("first_class",
            [](Attributes& attrs) { attrs.set("first_class", attrs.integer("first_class") + 1); });
    if (!node.attrs.has("at") || node.attrs.integers("at").empty())
      return;
    const std::vector<int64_t> at = node.attrs.integers("at"), whole = node.attrs.integers("whole");
    for (size_t k = 0; k < at.size(); ++k) {
      const int64_t extent = node.result()->type.shape[k];
      if (extent == whole[k])
        continue;
      const int64_t moved = at[k] + extent < whole[k] ? at[k] + 1 : at[k] - 1;
      place(fmt::format("at[{}]", k), [=](Attributes& attrs) {
        std::vector<int64_t> other = at;
        other[k] = moved;
        attrs.set("at", other);
      });
    }
  }

  void output(size_t o) {
    const Graph::Output& output = graphs_[device_].outputs[o];
    for (size_t k = 0; k < output.at.size(); ++k)
      if (output.value->type.shape[k] < output.whole[k])
        faults_.push_back({"elsewhere",
                           fmt::format("elsewhere: output `{}` on device {}", output.name, device_),
                           [=, d = device_](Graphs& g) {
                             g[d].outputs[o].at[k] += g[d].outputs[o].at[k] ? -1 : 1;
                           }});
  }

  const Graphs& graphs_;
  std::vector<Fault> faults_;
  size_t index_ = 0, device_ = 0;
  Exchange exchange_;
};

} // namespace

std::vector<Fault> faults_of(const std::vector<Graph>& graphs) {
  return FaultLister(graphs).run();
}

std::vector<Graph> clones(const std::vector<Graph>& graphs) {
  std::vector<Graph> copies;
  for (const Graph& graph : graphs)
    copies.push_back(graph.clone());
  return copies;
}

} // namespace netc::test
