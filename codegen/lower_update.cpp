// Updates of parameters: sweeps over whole tensors. Those of a group follow each other without a
// barrier, since they share nothing but what they read.

#include "codegen/group.h"

#include "ir/support/error.h"

namespace netc {

namespace {

using kernel::Body;
using kernel::Expr;
using kernel::load;
using kernel::StmtKind;

/// Elements one iteration of the parallel loop updates: long enough to stream, short enough to
/// spread over threads, of which a GPU has many.
constexpr int64_t thread_chunk = 16384, block_chunk = 2048;

/// Element `index` of the operands; each is loaded once.
class FlatElements : public kernel::MapContext {
public:
  FlatElements(const Node& node, const Group& group, Body& chunk)
      : MapContext(node), group_(group) {
    // What has the parameters' shape is updated in place: its element is read by its own lane.
    for (const Value* operand : node.operands)
      if (operand->type.elements() == 1 && operand->type.shape != node.result()->type.shape)
        known_[operand] = let(chunk, *operand, Expr(0));
  }
  void enter(Body& lane, Expr index) {
    lane_ = &lane;
    index_ = std::move(index);
  }

  Expr operand(size_t i) override {
    const Value& value = *node.operands[i];
    auto [it, fresh] = known_.try_emplace(&value);
    if (fresh)
      it->second = let(*lane_, value, index_);
    return it->second;
  }
  Expr scalar(size_t i, int64_t element) override {
    return load(group_.buffers.at(node.operands[i]), node.operands[i]->type.dtype, {Expr(element)});
  }
  Expr element_index() override { return index_; }

private:
  Expr let(Body& body, const Value& value, Expr index) const {
    const std::string& buffer = group_.buffers.at(&value);
    return body.let(buffer + "_i", load(buffer, value.type.dtype, {std::move(index)}));
  }

  const Group& group_;
  Body* lane_ = nullptr;
  Expr index_;
  std::unordered_map<const Value*, Expr> known_;
};

void add_sweep(Body& body, const Node& node, const Group& group, int64_t chunk) {
  const int64_t count = node.result()->type.elements();
  body.loop(StmtKind::parallel, "part", 0, (count + chunk - 1) / chunk, [&](Expr part, Body& b) {
    FlatElements elements(node, group, b);
    const Expr begin = part * Expr(chunk);
    // Counted from 0: threads step beyond the end, which may be that of i32.
    b.loop(StmtKind::lanes, "i", 0, min(Expr(chunk), Expr(count) - begin), [&](Expr i, Body& lane) {
      const Expr at = lane.let("at", begin + i);
      elements.enter(lane, at);
      std::vector<Expr> next = std::get<UpdateLowering>(node.op->lower).update(elements, lane);
      for (size_t r = 0; r < next.size(); ++r)
        lane.store(group.buffers.at(node.result(static_cast<int>(r))), {at}, next[r]);
    });
  });
}

} // namespace

kernel::Kernel lower_updates(const Group& group, const std::string& name, bool threads) {
  Body body;
  for (const Node* member : group.members)
    add_sweep(body, *member, group, threads ? block_chunk : thread_chunk);
  std::vector<kernel::Param> params = group_params(group);
  for (kernel::Param& param : params)
    param.type = {param.type.dtype, {param.type.elements()}};
  return {name, std::move(params), body.take()};
}

} // namespace netc
