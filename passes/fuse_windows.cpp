// Chains of maps and windows (ReLU -> LRN -> pool, LRN -> pool, pool's gradient -> LRN's gradient
// -> ReLU's gradient ...) become one kernel, in which what lies between them stays in the cache.
// Maps that a contraction's epilogue can take are left to it: there they cost nothing at all.

#include "ir/lowering.h"
#include "passes/fusion.h"
#include "passes/passes.h"

#include <algorithm>

namespace netc {

namespace {

/// Bytes of intermediate rows one kernel may keep. On a CPU they should stay in a core's L2 cache;
/// on a GPU they are in the shared memory of a block, beside the channels of some pixels.
int64_t largest_stage(const Target& target) {
  constexpr int64_t cache = 200 << 10, pixels = 8 << 10;
  return target.has_cuda_text() ? target.shared_bytes() - pixels : cache;
}

bool is_spatial(const Node& node) {
  const auto* lowering = std::get_if<PixelLowering>(&node.op->lower);
  return lowering && lowering->rows;
}

class WindowFuser {
public:
  WindowFuser(Graph& graph, PassContext& context) : graph_(graph), context_(context) {
    for (const auto& [contraction, chain] : epilogue_chains(graph))
      reserved_.insert(chain.begin(), chain.end());
  }

  int run() {
    users_ = graph_.users();
    for (size_t i = 0; i < graph_.nodes.size(); ++i)
      positions_[graph_.nodes[i].get()] = i;
    for (const Graph::Output& output : graph_.outputs)
      outputs_.insert(output.value);
    std::vector<std::vector<Node*>> groups;
    for (auto it = graph_.nodes.rbegin(); it != graph_.nodes.rend(); ++it) {
      Node* last = it->get();
      if (grouped_.count(last) || !eligible(*last))
        continue;
      std::unordered_set<const Node*> members = {last};
      last_ = positions_.at(last);
      windows_.clear();
      absorb_producers(*last, members);
      if (members.size() < 2 || !context_.may_rewrite())
        continue;
      grouped_.insert(members.begin(), members.end());
      groups.push_back(in_order(members));
    }
    for (const std::vector<Node*>& group : groups)
      fuse(graph_, group, "window");
    sort_topologically(graph_);
    return static_cast<int>(groups.size());
  }

private:
  bool eligible(const Node& node) const {
    const auto* pixel = std::get_if<PixelLowering>(&node.op->lower);
    bool fusable = node.op->is_map() || (pixel && pixel->fusable);
    return fusable && !node.operands.empty() && !reserved_.count(&node);
  }

  /// The spatial window whose rows `member` computes or reads; null outside of any.
  const Node* stage_of(const Node& member) const {
    auto below = windows_.find(&member);
    return is_spatial(member) ? &member : below == windows_.end() ? nullptr : below->second;
  }

  /// True when the producer can be computed inside the group, below `window` if that is not null.
  /// Who else reads its results must run after the group (else there would be a cycle), and the
  /// group must compute each element once: rows kept for a window are computed again where windows
  /// overlap, and nobody but that window and what feeds it finds them.
  bool can_move(const Node& producer, const std::unordered_set<const Node*>& members,
                const Node* window) {
    for (const auto& result : producer.results) {
      if (window && outputs_.count(result.get()))
        return false;
      for (const Node* user : users_[result.get()])
        if (members.count(user) ? stage_of(*user) != window : window || positions_.at(user) < last_)
          return false;
    }
    return true;
  }

  /// One spatial window a group: what feeds it is kept as rows, and rows of rows would have to be
  /// computed again and again.
  bool fits(const Node& consumer, const Node& producer, bool below_window) const {
    if (below_window && is_spatial(producer))
      return false;
    if (!is_spatial(consumer))
      return producer.result()->type.shape == consumer.result()->type.shape;
    kernel::PixelShape p = kernel::pixel_shape(producer.result()->type.shape);
    const auto& window = std::get<PixelLowering>(consumer.op->lower);
    int64_t rows = window.rows(consumer, 0, kernel::var("h")).max_count;
    return rows * p.w * p.c * 4 <= largest_stage(context_.target);
  }

  void absorb_producers(const Node& consumer, std::unordered_set<const Node*>& members) {
    const Node* window = stage_of(consumer);
    for (const Value* operand : consumer.operands) {
      const Node& producer = *operand->node;
      if (members.count(&producer) || grouped_.count(&producer) || !eligible(producer) ||
          !can_move(producer, members, window) || !fits(consumer, producer, window))
        continue;
      members.insert(&producer);
      windows_[&producer] = window;
      absorb_producers(producer, members);
    }
  }

  std::vector<Node*> in_order(const std::unordered_set<const Node*>& members) const {
    std::vector<Node*> list;
    for (const auto& node : graph_.nodes)
      if (members.count(node.get()))
        list.push_back(node.get());
    return list;
  }

  Graph& graph_;
  PassContext& context_;
  std::unordered_set<const Node*> reserved_;
  std::unordered_set<const Value*> outputs_;
  std::unordered_map<const Value*, std::vector<Node*>> users_;
  std::unordered_map<const Node*, size_t> positions_;
  std::unordered_set<const Node*> grouped_; ///< Members of the groups built so far.
  /// Of the group being built: the window that a member computes rows for.
  std::unordered_map<const Node*, const Node*> windows_;
  size_t last_ = 0; ///< Position of the last member of the group being built.
};

} // namespace

int fuse_windows(Graph& graph, PassContext& context) {
  return WindowFuser(graph, context).run();
}

} // namespace netc
