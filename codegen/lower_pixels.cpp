// Fuses maps and windows by pixels. The kernel runs over the rows of the last member's result in
// parallel. What feeds a spatial window is computed first, for the rows that the window covers, and
// kept in a stage; all else is computed pixel by pixel, each member into an array of its channels.
// A map that only maps read is not stored at all: its expression is computed where it is needed.

#include "codegen/group.h"
#include "codegen/lowering.h"

#include "ir/support/error.h"

#include <algorithm>
#include <unordered_set>

namespace netc {

namespace {

using kernel::Body;
using kernel::Expr;
using kernel::load;
using kernel::PixelShape;
using kernel::StmtKind;
using kernel::var;

/// A pixel and one of its channels.
struct Place {
  Expr n, h, w, c;
};

/// Rows of an intermediate value kept for a window.
struct Stage {
  std::string array;
  Expr first_row;
  int64_t width, channels;
};

PixelFn pixel_fn(const Node& node) {
  return std::get<PixelLowering>(node.op->lower).pixel;
}

RowsFn rows_fn(const Node& node) {
  const auto* lowering = std::get_if<PixelLowering>(&node.op->lower);
  return lowering ? lowering->rows : nullptr;
}

class PixelKernel {
public:
  PixelKernel(const Group& group, bool threads) : group_(group), threads_(threads) {
    for (const Node* member : group.members)
      for (const Value* operand : member->operands)
        readers_[operand].push_back(member);
    collect_staged();
  }

  kernel::Kernel build(const std::string& name) {
    const Node& last = *group_.members.back();
    PixelShape out = kernel::pixel_shape(last.result()->type.shape);
    Body body;
    body.loop(StmtKind::parallel, "n", 0, out.n, [&](Expr n, Body& image) {
      if (out.h == 1)
        return row(image, n, Expr(0), out);
      image.loop(StmtKind::parallel, "h", 0, out.h,
                 [&](Expr h, Body& rows) { row(rows, n, h, out); });
    });
    return {name, group_params(group_), body.take()};
  }

  // For the contexts below.
  bool threads() const { return threads_; }
  Expr read(const Value& value, const Place& at);
  /// The same inside a map's lanes, kept in a variable: a value read twice is computed once, and a
  /// load never stands under a condition (g++ 12 vectorises such loads wrongly).
  Expr read_once(const Value& value, const Place& at);
  Expr read_element(const Value& value, std::vector<Expr> indices) {
    return load(buffer(value), value.type.dtype, std::move(indices));
  }
  void write(Body& into, const Value& value, const Place& at, Expr element);
  bool needed(const Value& value) const {
    return group_.buffers.count(&value) || readers_.count(&value);
  }
  std::string local(const std::string& base) { return locals_.next(base); }

private:
  const std::string& buffer(const Value& value) const {
    auto it = group_.buffers.find(&value);
    NETC_CHECK(it != group_.buffers.end(), "`{}` has no buffer", value.name);
    return it->second;
  }
  bool is_member_value(const Value& value) const {
    return std::find(group_.members.begin(), group_.members.end(), value.node) !=
           group_.members.end();
  }

  void collect_staged();
  void row(Body& body, Expr n, Expr h, const PixelShape& out);
  void fill_stage(Body& body, const Node& window, size_t operand, Expr n, Expr h);
  void compute(Body& body, const std::vector<const Node*>& members, const Place& at);
  void compute_map(Body& body, const Node& node, const Place& at);
  Expr map_element(const Node& node, const Place& at);
  bool is_inlined(const Node& node) const;

  const Group& group_;
  bool threads_;
  std::unordered_map<const Value*, std::vector<const Node*>> readers_;
  std::unordered_set<const Node*> staged_; ///< Members computed for the rows of a stage.
  std::unordered_map<const Value*, Stage> stages_;
  std::unordered_map<const Value*, std::string> arrays_; ///< Channels of the current pixel.
  Body* lane_ = nullptr; ///< Lanes of the map being computed, with what they have read so far.
  std::unordered_map<const Value*, Expr> lane_values_;
  LocalNames locals_{"item", "end", "n", "h"};
};

/// What an operator's map sees.
class Elements : public kernel::MapContext {
public:
  Elements(PixelKernel& kernel, const Node& node, Place at)
      : MapContext(node), kernel_(kernel), at_(std::move(at)) {}

  Expr operand(size_t i) override {
    const Value& value = *node.operands[i];
    const TensorType& type = node.result()->type;
    if (value.type.shape.size() != 1 || value.type.shape == type.shape)
      return kernel_.read_once(value, at_);
    return kernel_.read_element(value, {value.type.elements() == 1 ? Expr(0) : at_.c});
  }
  Expr scalar(size_t i, int64_t element) override {
    return kernel_.read_element(*node.operands[i], {Expr(element)});
  }
  Expr element_index() override { return kernel::whole_index(node, at_.n, at_.h, at_.w, at_.c); }

private:
  PixelKernel& kernel_;
  Place at_;
};

/// What an operator's window sees.
class Pixels : public kernel::PixelContext {
public:
  Pixels(PixelKernel& kernel, const Node& node, Body& body, const Place& at)
      : PixelContext(node, body, at.n, at.h, at.w, kernel.threads()), kernel_(kernel) {}

  Expr load(size_t i, Expr n_, Expr h_, Expr w_, Expr c) override {
    return kernel_.read(*node.operands[i],
                        {std::move(n_), std::move(h_), std::move(w_), std::move(c)});
  }
  Expr element(size_t i, std::vector<Expr> indices) override {
    return kernel_.read_element(*node.operands[i], std::move(indices));
  }
  void store(Body& into, size_t r, Expr c, Expr value) override {
    kernel_.write(into, *node.results[r], {n, h, w, std::move(c)}, std::move(value));
  }
  bool needed(size_t r) const override { return kernel_.needed(*node.results[r]); }
  std::string local(const std::string& base) override { return kernel_.local(base); }

private:
  PixelKernel& kernel_;
};

/// Members that a spatial window reads, and what those read in turn.
void PixelKernel::collect_staged() {
  for (auto it = group_.members.rbegin(); it != group_.members.rend(); ++it)
    for (const auto& result : (*it)->results)
      for (const Node* reader : readers_[result.get()])
        if (staged_.count(reader) || rows_fn(*reader))
          staged_.insert(*it);
  std::erase_if(readers_, [](const auto& entry) { return entry.second.empty(); });
}

void PixelKernel::row(Body& body, Expr n, Expr h, const PixelShape& out) {
  std::vector<const Node*> rest;
  for (const Node* member : group_.members) {
    if (staged_.count(member))
      continue;
    rest.push_back(member);
    for (size_t i = 0; i < member->operands.size(); ++i)
      if (rows_fn(*member) && staged_.count(member->operands[i]->node))
        fill_stage(body, *member, i, n, h);
  }
  if (out.w == 1)
    return compute(body, rest, {n, h, Expr(0), {}});
  body.loop(StmtKind::spread, local("w"), 0, out.w, [&](Expr w, Body& pixel) {
    compute(pixel, rest, {n, h, w, {}});
  });
}

void PixelKernel::fill_stage(Body& body, const Node& window, size_t operand, Expr n, Expr h) {
  const Value& value = *window.operands[operand];
  if (stages_.count(&value))
    return;
  PixelShape p = kernel::pixel_shape(value.type.shape);
  RowRange rows = rows_fn(window)(window, operand, h);
  Stage stage{local("stage"), {}, p.w, p.c};
  body.alloc(stage.array, value.type.dtype, rows.max_count * p.w * p.c);
  stage.first_row = body.let(local("first_row"), rows.lo);
  stages_[&value] = stage;
  std::vector<const Node*> needed;
  std::unordered_set<const Node*> wanted = {value.node};
  for (auto it = group_.members.rbegin(); it != group_.members.rend(); ++it)
    if (wanted.count(*it)) {
      needed.insert(needed.begin(), *it);
      for (const Value* o : (*it)->operands)
        wanted.insert(o->node);
    }
  body.loop(StmtKind::serial, local("row"), stage.first_row, rows.hi, [&](Expr row, Body& inner) {
    inner.loop(StmtKind::spread, local("column"), 0, p.w, [&](Expr w, Body& pixel) {
      compute(pixel, needed, {n, row, w, {}});
    });
  });
}

/// A map is not stored when only maps read it: computing it again is cheaper than an array.
bool PixelKernel::is_inlined(const Node& node) const {
  const Value* value = node.result();
  if (!node.op->is_map() || group_.buffers.count(value) || stages_.count(value))
    return false;
  auto readers = readers_.find(value);
  return readers != readers_.end() &&
         std::all_of(readers->second.begin(), readers->second.end(),
                     [](const Node* reader) { return reader->op->is_map(); });
}

void PixelKernel::compute(Body& body, const std::vector<const Node*>& members, const Place& at) {
  for (const Node* member : members) {
    if (is_inlined(*member))
      continue;
    for (const auto& result : member->results)
      if (readers_.count(result.get()) && !stages_.count(result.get())) {
        std::string array = local("pixel");
        body.alloc(array, result->type.dtype, kernel::pixel_shape(result->type.shape).c);
        arrays_[result.get()] = array;
      }
    if (member->op->is_map()) {
      compute_map(body, *member, at);
    } else {
      Pixels context(*this, *member, body, at);
      pixel_fn (*member)(context);
    }
  }
}

void PixelKernel::compute_map(Body& body, const Node& node, const Place& at) {
  int64_t channels = kernel::pixel_shape(node.result()->type.shape).c;
  body.loop(StmtKind::lanes, local("c"), 0, channels, [&](Expr c, Body& lane) {
    Place here = at;
    here.c = c;
    lane_ = &lane;
    lane_values_.clear();
    write(lane, *node.result(), here, map_element(node, here));
  });
}

Expr PixelKernel::map_element(const Node& node, const Place& at) {
  Elements context(*this, node, at);
  return std::get<MapLowering>(node.op->lower).map(context);
}

Expr PixelKernel::read(const Value& value, const Place& at) {
  if (auto stage = stages_.find(&value); stage != stages_.end()) {
    const Stage& s = stage->second;
    return load(s.array, value.type.dtype,
                {((at.h - s.first_row) * Expr(s.width) + at.w) * Expr(s.channels) + at.c});
  }
  if (auto array = arrays_.find(&value); array != arrays_.end())
    return load(array->second, value.type.dtype, {at.c});
  if (is_member_value(value))
    return map_element(*value.node, at);
  return load(buffer(value), value.type.dtype,
              kernel::logical_indices(value.type.shape.size(), at.n, at.h, at.w, at.c));
}

Expr PixelKernel::read_once(const Value& value, const Place& at) {
  auto known = lane_values_.find(&value);
  if (known != lane_values_.end())
    return known->second;
  Expr element = read(value, at);
  return lane_values_[&value] = lane_->let(local("x"), std::move(element));
}

void PixelKernel::write(Body& into, const Value& value, const Place& at, Expr element) {
  if (auto stage = stages_.find(&value); stage != stages_.end()) {
    const Stage& s = stage->second;
    into.store(s.array, {((at.h - s.first_row) * Expr(s.width) + at.w) * Expr(s.channels) + at.c},
               element);
    return;
  }
  auto array = arrays_.find(&value);
  bool both = array != arrays_.end() && group_.buffers.count(&value);
  if (both)
    element = into.let(local("element"), element);
  if (array != arrays_.end())
    into.store(array->second, {at.c}, element);
  if (group_.buffers.count(&value))
    into.store(buffer(value),
               kernel::logical_indices(value.type.shape.size(), at.n, at.h, at.w, at.c), element);
}

} // namespace

kernel::Kernel lower_pixels(const Group& group, const std::string& name,
                            const LoweringOptions& options) {
  const bool threads = options.target.has_cuda_text();
  if (threads)
    if (std::optional<kernel::Kernel> runs = lower_runs(group, name, options))
      return *runs;
  return PixelKernel(group, threads).build(name);
}

} // namespace netc
