// Maps and windows for the threads of a GPU. A thread computes a run of channels of a pixel, in
// registers: vectors of 4 where channels come in fours. What it needs it computes from the kernel's
// operands, again where windows overlap; only where an operator needs what threads of other
// channels have computed do pixels have arrays (see kernel::RunContext::share), each within a warp.

#include "codegen/group.h"

#include "ir/support/error.h"

#include <algorithm>
#include <limits>

namespace netc {

namespace {

using kernel::Body;
using kernel::Expr;
using kernel::ExprKind;
using kernel::load;
using kernel::PixelShape;
using kernel::Run;
using kernel::StmtKind;

/// Elements of a vector access, threads that work together without one, warps of a block.
constexpr int64_t vector_channels = 4, block_threads = 256, block_warps = 8, warp_threads = 32;
/// A value that a window reads is computed so many times for each of its pixels, at most.
constexpr int64_t most_times = 9;

const PixelLowering* window_of(const Node& node) {
  return std::get_if<PixelLowering>(&node.op->lower);
}

/// A run at a pixel.
struct Place {
  Expr n, h, w, first;
  int64_t count;
};

bool same(const Place& a, const Place& b) {
  return a.count == b.count && kernel::same(a.n, b.n) && kernel::same(a.h, b.h) &&
         kernel::same(a.w, b.w) && kernel::same(a.first, b.first);
}

/// `e` + `k`, where `e` may be such a sum already.
Expr plus(const Expr& e, int64_t k) {
  if (e->kind == ExprKind::binary && e->name == "+" && kernel::constant(e->args[1]))
    return e->args[0] + Expr(*kernel::constant(e->args[1]) + k);
  return e + Expr(k);
}

class RunKernel {
public:
  explicit RunKernel(const Group& group)
      : group_(group), out_(kernel::pixel_shape(group.members.back()->result()->type.shape)) {
    for (const Node* member : group.members)
      for (const Value* operand : member->operands)
        readers_[operand].push_back(member);
  }

  bool possible();
  kernel::Kernel build(const std::string& name);
  // For the contexts below.
  Expr let(const std::string& base, Expr value);
  Run value(const Value& value, const Place& at);
  Expr element(const Value& value, std::vector<Expr> indices) const {
    return load(group_.buffers.at(&value), value.type.dtype, std::move(indices));
  }
  bool needed(const Value& value) const {
    return group_.buffers.count(&value) || readers_.count(&value);
  }
  std::string share(const Run& run);
  void meet();
  Run shared(const std::string& array, const Expr& first, int64_t count);

private:
  bool is_member(const Value& value) const {
    return std::find(group_.members.begin(), group_.members.end(), value.node) !=
           group_.members.end();
  }
  std::vector<const Value*> values() const;
  bool below_window(const Node& node) const;
  bool repeats_little(const Node& window) const;
  int64_t runs_of_pixel() const { return out_.c / count_; }
  int64_t pixels() const { return out_.n * out_.h * out_.w; }

  void begin(const Expr& pixel, const Expr& run);
  void add_guarded(Body& body, const Expr& exists, bool guarded);
  void flat(Body& body);
  void tiles(Body& body);
  void begin_in_tile();
  void end_in_tile();
  Expr shared_index(const Expr& first, int64_t k) const;
  void store_results();
  void compute(const Node& node, const Place& at);
  static std::vector<Expr> indices(const Value& value, const Place& at, int64_t k);

  const Group& group_;
  PixelShape out_;
  int64_t count_ = 1; ///< Channels of a run.
  std::unordered_map<const Value*, std::vector<const Node*>> readers_;
  const Node* sharing_ = nullptr; ///< The member whose threads share.

  struct Known {
    const Value* value;
    Place at;
    Run run;
  };
  std::vector<Known> known_;                     ///< What is in the thread's variables.
  std::vector<std::pair<Expr, Expr>> variables_; ///< Values and the variables that have them.
  Body lane_;                                    ///< What a thread does.
  Place here_;
  LocalNames locals_{"item", "part",  "tile", "first_pixel", "i", "run",
                     "slot", "pixel", "n",    "h",           "w", "c"};

  // Where threads share: the pixels that a warp computes together, and what it does so far.
  int64_t tile_ = 1;
  Body* in_tile_ = nullptr;
};

/// What a map sees: channel `k` of the run.
class RunElements : public kernel::MapContext {
public:
  RunElements(RunKernel& kernel, const Node& node, const Place& at, int64_t k)
      : MapContext(node), kernel_(kernel), at_(at), k_(k) {}

  Expr operand(size_t i) override {
    const Value& value = *node.operands[i];
    if (value.type.shape == Shape{1} && value.type.shape != node.result()->type.shape)
      return kernel_.element(value, {Expr(0)});
    return kernel_.value(value, at_)[static_cast<size_t>(k_)];
  }
  Expr scalar(size_t i, int64_t element) override {
    return kernel_.element(*node.operands[i], {Expr(element)});
  }
  Expr element_index() override {
    return kernel::whole_index(node, at_.n, at_.h, at_.w, plus(at_.first, k_));
  }

private:
  RunKernel& kernel_;
  const Place& at_;
  int64_t k_;
};

/// What an operator's window sees.
class RunPixels : public kernel::RunContext {
public:
  RunPixels(RunKernel& kernel, const Node& node, const Place& at)
      : RunContext(node, at.n, at.h, at.w, at.first, at.count), kernel_(kernel) {}

  Expr let(const std::string& base, Expr value) override {
    return kernel_.let(base, std::move(value));
  }
  Run load(size_t i, Expr n_, Expr h_, Expr w_, Expr first_, int64_t count_) override {
    return kernel_.value(*node.operands[i],
                         {std::move(n_), std::move(h_), std::move(w_), std::move(first_), count_});
  }
  std::string share(const Run& run) override { return kernel_.share(run); }
  void meet() override { kernel_.meet(); }
  Run shared(const std::string& array, Expr first_, int64_t count_) override {
    return kernel_.shared(array, first_, count_);
  }
  bool needed(size_t r) const override { return kernel_.needed(*node.results[r]); }

private:
  RunKernel& kernel_;
};

/// All that is read and computed pixel by pixel.
std::vector<const Value*> RunKernel::values() const {
  std::vector<const Value*> list;
  for (const Node* member : group_.members) {
    for (const Value* operand : member->operands)
      if (operand->type.shape.size() > 1)
        list.push_back(operand);
    for (const auto& result : member->results)
      list.push_back(result.get());
  }
  return list;
}

/// Whether a window that reads other pixels reads what the node computes.
bool RunKernel::below_window(const Node& node) const {
  for (const auto& result : node.results)
    if (auto it = readers_.find(result.get()); it != readers_.end())
      for (const Node* reader : it->second)
        if ((window_of(*reader) && window_of(*reader)->rows) || below_window(*reader))
          return true;
  return false;
}

/// Whether what the group computes for a window is not computed too often.
bool RunKernel::repeats_little(const Node& window) const {
  const PixelShape to = kernel::pixel_shape(window.result()->type.shape);
  for (const Value* operand : window.operands) {
    const PixelShape from = kernel::pixel_shape(operand->type.shape);
    if (is_member(*operand) &&
        window_of(window)->taps(window) * to.h * to.w > most_times * from.h * from.w)
      return false;
  }
  return true;
}

bool RunKernel::possible() {
  count_ = vector_channels;
  for (const Value* value : values()) {
    const Shape& shape = value->type.shape;
    if (value->type.elements() > std::numeric_limits<int32_t>::max() ||
        (shape.size() == 4 && value->layout != Layout::nhwc && group_.buffers.count(value)))
      return false;
    if (kernel::pixel_shape(shape).c % vector_channels != 0)
      count_ = 1;
  }
  int reaching = 0;
  for (const Node* member : group_.members) {
    const PixelLowering* window = window_of(*member);
    if (!window)
      continue;
    if (!window->run || window->taps(*member) == 0 || !repeats_little(*member))
      return false;
    reaching += window->reach != Reach::own;
    if (window->reach == Reach::shared)
      sharing_ = member;
  }
  return reaching <= 1 && !(sharing_ && below_window(*sharing_));
}

kernel::Kernel RunKernel::build(const std::string& name) {
  Body body;
  sharing_ ? tiles(body) : flat(body);
  return {name, group_params(group_), body.take()};
}

/// Begins what a thread does for the run of a pixel, both counted through.
void RunKernel::begin(const Expr& pixel, const Expr& run) {
  known_.clear();
  variables_.clear();
  const Expr n = out_.n == 1 ? Expr(0) : lane_.let("n", pixel / Expr(out_.h * out_.w));
  const Expr h = out_.h == 1 ? Expr(0) : lane_.let("h", pixel / Expr(out_.w) % Expr(out_.h));
  const Expr w = out_.w == 1 ? Expr(0) : lane_.let("w", pixel % Expr(out_.w));
  here_ = {n, h, w, lane_.let("c", run * Expr(count_)), count_};
}

/// Adds the statements since begin(); `guarded`: where the run exists.
void RunKernel::add_guarded(Body& body, const Expr& exists, bool guarded) {
  auto add_all = [&](Body& to) {
    for (kernel::Stmt& stmt : lane_.take())
      to.add(std::move(stmt));
  };
  guarded ? body.when(exists, add_all) : add_all(body);
  lane_ = {};
}

/// All runs of all pixels one after the other.
void RunKernel::flat(Body& body) {
  const int64_t items = pixels() * runs_of_pixel();
  const int64_t blocks = (items + block_threads - 1) / block_threads;
  body.loop(StmtKind::parallel, "part", 0, blocks, [&](Expr part, Body& block) {
    block.loop(StmtKind::lanes, "i", 0, block_threads, [&](Expr i, Body& thread) {
      const Expr run = thread.let("run", part * Expr(block_threads) + i);
      begin(run / Expr(runs_of_pixel()), run % Expr(runs_of_pixel()));
      store_results();
      add_guarded(thread, run < Expr(items), items % block_threads != 0);
    });
  });
}

/// Pixels in groups whose runs fill a warp, as far as a few do.
void RunKernel::tiles(Body& body) {
  auto rounds = [&](int64_t tile) {
    return (tile * runs_of_pixel() + warp_threads - 1) / warp_threads;
  };
  for (int64_t tile : {2, 4, 8})
    if (rounds(tile) * tile_ < rounds(tile_) * tile) // fewer a pixel
      tile_ = tile;
  const int64_t all = (pixels() + tile_ - 1) / tile_;
  body.loop(StmtKind::parallel, "part", 0, (all + block_warps - 1) / block_warps,
            [&](Expr part, Body& block) {
              block.loop(StmtKind::spread, "tile", 0, block_warps, [&](Expr tile, Body& warp) {
                in_tile_ = &warp;
                warp.let("first_pixel", (part * Expr(block_warps) + tile) * Expr(tile_));
                begin_in_tile();
                value(*sharing_->result(), here_);
                store_results();
                end_in_tile();
              });
            });
}

void RunKernel::begin_in_tile() {
  begin(kernel::var("pixel"), kernel::var("i") % Expr(runs_of_pixel()));
}

void RunKernel::end_in_tile() {
  in_tile_->loop(StmtKind::lanes, "i", 0, tile_ * runs_of_pixel(), [&](Expr i, Body& thread) {
    const Expr slot = thread.let("slot", i / Expr(runs_of_pixel()));
    const Expr pixel = thread.let("pixel", kernel::var("first_pixel") + slot);
    add_guarded(thread, pixel < Expr(pixels()), pixels() % (tile_ * block_warps) != 0);
  });
}

std::string RunKernel::share(const Run& run) {
  const std::string array = locals_.next("shared");
  in_tile_->alloc(array, DType::f32, tile_ * out_.c);
  for (size_t k = 0; k < run.size(); ++k)
    lane_.store(array, {shared_index(here_.first, static_cast<int64_t>(k))}, run[k]);
  return array;
}

void RunKernel::meet() {
  end_in_tile();
  begin_in_tile();
}

Run RunKernel::shared(const std::string& array, const Expr& first, int64_t count) {
  Run run;
  for (int64_t k = 0; k < count; ++k)
    run.push_back(lane_.let(locals_.next("x"), load(array, DType::f32, {shared_index(first, k)})));
  return run;
}

Expr RunKernel::shared_index(const Expr& first, int64_t k) const {
  return kernel::var("slot") * Expr(out_.c) + plus(first, k);
}

void RunKernel::store_results() {
  std::vector<std::pair<const Value*, Run>> stores;
  for (const Node* member : group_.members)
    for (const auto& result : member->results)
      if (group_.buffers.count(result.get()))
        stores.emplace_back(result.get(), value(*result, here_));
  for (const auto& [to, run] : stores)
    for (size_t k = 0; k < run.size(); ++k)
      lane_.store(group_.buffers.at(to), indices(*to, here_, static_cast<int64_t>(k)), run[k]);
}

std::vector<Expr> RunKernel::indices(const Value& value, const Place& at, int64_t k) {
  return kernel::logical_indices(value.type.shape.size(), at.n, at.h, at.w, plus(at.first, k));
}

Expr RunKernel::let(const std::string& base, Expr value) {
  for (const auto& [known, variable] : variables_)
    if (kernel::same(known, value))
      return variable;
  Expr variable = lane_.let(locals_.next(base), value);
  variables_.emplace_back(std::move(value), variable);
  return variable;
}

Run RunKernel::value(const Value& value, const Place& at) {
  for (const Known& known : known_)
    if (known.value == &value && same(known.at, at))
      return known.run;
  if (is_member(value)) {
    compute(*value.node, at);
    return this->value(value, at);
  }
  Run run;
  for (int64_t k = 0; k < at.count; ++k)
    run.push_back(lane_.let(locals_.next("x"), element(value, indices(value, at, k))));
  known_.push_back({&value, at, run});
  return run;
}

void RunKernel::compute(const Node& node, const Place& at) {
  std::vector<Run> runs;
  if (node.op->is_map()) {
    runs.emplace_back();
    for (int64_t k = 0; k < at.count; ++k) {
      RunElements elements(*this, node, at, k);
      runs[0].push_back(std::get<MapLowering>(node.op->lower).map(elements));
    }
  } else {
    RunPixels pixels(*this, node, at);
    runs = window_of(node)->run(pixels);
  }
  for (size_t r = 0; r < runs.size(); ++r) {
    if (!needed(*node.results[r]))
      continue;
    for (Expr& e : runs[r])
      if (e->kind != ExprKind::var && e->kind != ExprKind::real)
        e = let("y", e);
    known_.push_back({node.results[r].get(), at, runs[r]});
  }
}

} // namespace

std::optional<kernel::Kernel> lower_runs(const Group& group, const std::string& name) {
  RunKernel kernel(group);
  if (!kernel.possible())
    return std::nullopt;
  return kernel.build(name);
}

} // namespace netc
