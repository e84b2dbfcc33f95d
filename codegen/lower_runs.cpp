// Maps and windows for the threads of a GPU. A thread computes a run of channels of a pixel, or of
// a block of pixels, in registers: vectors of 4 where channels come in fours. What it needs it
// computes from the kernel's operands, again where windows overlap that are not of its block; only
// where an operator needs what threads of other channels have computed do pixels have arrays (see
// PixelLowering::show), each within a warp.

#include "codegen/lowering.h"
#include "codegen/run_group.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc {

namespace {

using kernel::Body;
using kernel::Expr;
using kernel::ExprKind;
using kernel::load;
using kernel::PixelShape;
using kernel::Position;
using kernel::Run;
using kernel::StmtKind;

/// Threads that work together without sharing.
constexpr int64_t block_threads = block_warps * warp_threads;

/// A run at a pixel.
struct Place {
  Expr n;
  Position h, w;
  Expr first;
  int64_t count;
  int64_t number = 0; ///< Of the pixel in the thread's block.
};

bool same(const Place& a, const Place& b) {
  return a.count == b.count && kernel::same(a.n, b.n) && kernel::same(a.h.at, b.h.at) &&
         kernel::same(a.w.at, b.w.at) && kernel::same(a.first, b.first);
}

/// `e` + `k`, where `e` may be such a sum already.
Expr plus(const Expr& e, int64_t k) {
  if (e->kind == ExprKind::binary && e->name == "+" && kernel::constant(e->args[1]))
    return e->args[0] + Expr(*kernel::constant(e->args[1]) + k);
  return e + Expr(k);
}

class RunKernel {
public:
  RunKernel(const Group& group, const RunPlan& plan, bool exact)
      : exact(exact), group_(group), plan_(plan), readers_(readers_of(group)),
        out_(kernel::pixel_shape(group.members.back()->result()->type.shape)) {}

  kernel::Kernel build(const std::string& name);
  // For the contexts below.
  const bool exact;
  Expr let(const std::string& base, Expr value);
  Run value(const Value& value, const Place& at);
  Expr element(const Value& value, std::vector<Expr> indices) const {
    return load(group_.buffers.at(&value), value.type.dtype, std::move(indices));
  }
  bool needed(const Value& value) const {
    return group_.buffers.count(&value) || readers_.count(&value);
  }
  Run shared(size_t array, const Place& at, const Expr& first, int64_t count);

private:
  bool is_member(const Value& value) const {
    return std::find(group_.members.begin(), group_.members.end(), value.node) !=
           group_.members.end();
  }
  int64_t runs_of_pixel() const { return out_.c / plan_.channels; }
  int64_t down() const { return (out_.h + plan_.block.rows - 1) / plan_.block.rows; }
  int64_t across() const { return (out_.w + plan_.block.columns - 1) / plan_.block.columns; }
  int64_t blocks() const { return out_.n * down() * across(); }
  int64_t pixels_of_block() const { return plan_.block.rows * plan_.block.columns; }
  const char* unit() const { return pixels_of_block() > 1 ? "block" : "pixel"; }
  std::string first_unit() const { return fmt::format("first_{}", unit()); }

  void begin(const Expr& block, const Expr& run);
  std::vector<Position> positions(const std::string& base, const Expr& block, int64_t length,
                                  int64_t extent);
  void add_guarded(Body& body, const Expr& exists, bool guarded);
  void flat(Body& body);
  void tiles(Body& body);
  template <class Fill> void each_in_tile(Body& warp, Fill fill);
  void show();
  Expr shared_index(const Place& at, const Expr& first, int64_t k) const;
  void store_results(const Place& at);
  Expr exists(const Place& at);
  void compute(const Node& node, const Place& at);
  static std::vector<Expr> indices(const Value& value, const Place& at, int64_t k);

  const Group& group_;
  const RunPlan plan_;
  const Readers readers_;
  const PixelShape out_;

  struct Known {
    const Value* value;
    Place at;
    Run run;
  };
  std::vector<Known> known_;                     ///< What is in the thread's variables.
  std::vector<std::pair<Expr, Expr>> variables_; ///< Values and the variables that have them.
  Body lane_;                                    ///< What a thread does.
  std::vector<Place> places_;                    ///< Its pixels.
  LocalNames locals_{"item",    "part",    "tile",  "i",          "run",   "slot",
                     "n",       "h",       "w",     "c",          "pixel", "first_pixel",
                     "block_h", "block_w", "block", "first_block"};

  std::vector<std::string> arrays_; ///< In which threads share.
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
    return kernel::whole_index(node, at_.n, at_.h.at, at_.w.at, plus(at_.first, k_));
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
      : RunContext(node, at.n, at.h, at.w, at.first, at.count, kernel.exact), kernel_(kernel),
        at_(at) {}

  Expr let(const std::string& base, Expr value) override {
    return kernel_.let(base, std::move(value));
  }
  Run load(size_t i, Expr n_, Expr h_, Expr w_, Expr first_, int64_t count_) override {
    return kernel_.value(*node.operands[i], {std::move(n_), Position(std::move(h_)),
                                             Position(std::move(w_)), std::move(first_), count_});
  }
  Run here(size_t i, Expr first_, int64_t count_) override {
    Place place = at_;
    place.first = std::move(first_), place.count = count_;
    return kernel_.value(*node.operands[i], place);
  }
  Run shared(size_t i, Expr first_, int64_t count_) override {
    return kernel_.shared(i, at_, first_, count_);
  }
  bool needed(size_t r) const override { return kernel_.needed(*node.results[r]); }

private:
  RunKernel& kernel_;
  const Place at_;
};

kernel::Kernel RunKernel::build(const std::string& name) {
  Body body;
  plan_.sharing ? tiles(body) : flat(body);
  return {name, group_params(group_), body.take()};
}

/// Where the pixels of a block lie along an axis.
std::vector<Position> RunKernel::positions(const std::string& base, const Expr& block,
                                           int64_t length, int64_t extent) {
  if (length == 1)
    return {Position(block)};
  std::vector<Position> list;
  for (int64_t offset = 0; offset < length; ++offset) {
    Expr at = block * Expr(length) + Expr(offset);
    if (extent % length != 0 && offset >= extent % length)
      at = min(at, Expr(extent - 1));
    list.emplace_back(let(base, at), block, length, offset);
  }
  return list;
}

/// Begins what a thread does for the run of a block, both counted through.
void RunKernel::begin(const Expr& block, const Expr& run) {
  known_.clear();
  variables_.clear();
  places_.clear();
  const Expr n = out_.n == 1 ? Expr(0) : lane_.let("n", block / Expr(down() * across()));
  auto name = [](const char* axis, int64_t length) {
    return length == 1 ? axis : fmt::format("block_{}", axis);
  };
  const Expr h =
      down() == 1 ? Expr(0)
                  : lane_.let(name("h", plan_.block.rows), block / Expr(across()) % Expr(down()));
  const Expr w =
      across() == 1 ? Expr(0) : lane_.let(name("w", plan_.block.columns), block % Expr(across()));
  const Expr c = lane_.let("c", run * Expr(plan_.channels));
  for (const Position& row : positions("row", h, plan_.block.rows, out_.h))
    for (const Position& column : positions("column", w, plan_.block.columns, out_.w))
      places_.push_back({n, row, column, c, plan_.channels, static_cast<int64_t>(places_.size())});
}

/// Whether a pixel of the block is none that was moved inside.
Expr RunKernel::exists(const Place& at) {
  auto along = [&](const Position& p, int64_t extent) {
    return extent % p.step != 0 && p.offset >= extent % p.step ? p.block < Expr(extent / p.step)
                                                               : Expr(1);
  };
  return along(at.h, out_.h) && along(at.w, out_.w);
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

/// All runs of all blocks one after the other.
void RunKernel::flat(Body& body) {
  const int64_t items = blocks() * runs_of_pixel();
  const int64_t parts = (items + block_threads - 1) / block_threads;
  body.loop(StmtKind::parallel, "part", 0, parts, [&](Expr part, Body& block) {
    block.loop(StmtKind::lanes, "i", 0, block_threads, [&](Expr i, Body& thread) {
      const Expr run = thread.let("run", part * Expr(block_threads) + i);
      begin(run / Expr(runs_of_pixel()), run % Expr(runs_of_pixel()));
      for (const Place& place : places_)
        store_results(place);
      add_guarded(thread, run < Expr(items), items % block_threads != 0);
    });
  });
}

/// Blocks in groups whose runs fill a warp, as far as a few do.
void RunKernel::tiles(Body& body) {
  const int64_t all = (blocks() + plan_.tile - 1) / plan_.tile;
  body.loop(StmtKind::parallel, "part", 0, (all + block_warps - 1) / block_warps,
            [&](Expr part, Body& block) {
              block.loop(StmtKind::spread, "tile", 0, block_warps, [&](Expr tile, Body& warp) {
                warp.let(first_unit(), (part * Expr(block_warps) + tile) * Expr(plan_.tile));
                Body showing;
                each_in_tile(showing, [&] { show(); });
                for (const std::string& array : arrays_)
                  warp.alloc(array, DType::f32, plan_.tile * pixels_of_block() * out_.c);
                for (kernel::Stmt& stmt : showing.take())
                  warp.add(std::move(stmt));
                each_in_tile(warp, [&] {
                  for (const Place& place : places_)
                    store_results(place);
                });
              });
            });
}

/// Has the threads of a warp do what `fill` adds for the places of each block of the tile.
template <class Fill> void RunKernel::each_in_tile(Body& warp, Fill fill) {
  begin(kernel::var(unit()), kernel::var("i") % Expr(runs_of_pixel()));
  fill();
  warp.loop(StmtKind::lanes, "i", 0, plan_.tile * runs_of_pixel(), [&](Expr i, Body& thread) {
    const Expr slot = thread.let("slot", i / Expr(runs_of_pixel()));
    const Expr block = thread.let(unit(), kernel::var(first_unit()) + slot);
    add_guarded(thread, block < Expr(blocks()), blocks() % (plan_.tile * block_warps) != 0);
  });
}

/// Shows what threads of other channels need, pixel by pixel.
void RunKernel::show() {
  for (const Place& place : places_) {
    RunPixels pixels(*this, *plan_.sharing, place);
    const std::vector<Run> runs = window_of(*plan_.sharing)->show(pixels);
    NETC_CHECK(runs.size() <= shown_runs, "`{}` shows {} runs", plan_.sharing->name, runs.size());
    while (arrays_.size() < runs.size())
      arrays_.push_back(locals_.next("shared"));
    for (size_t r = 0; r < runs.size(); ++r)
      for (size_t k = 0; k < runs[r].size(); ++k)
        lane_.store(arrays_[r], {shared_index(place, place.first, static_cast<int64_t>(k))},
                    runs[r][k]);
  }
}

Run RunKernel::shared(size_t array, const Place& at, const Expr& first, int64_t count) {
  Run run;
  for (int64_t k = 0; k < count; ++k)
    run.push_back(lane_.let(locals_.next("x"),
                            load(arrays_[array], DType::f32, {shared_index(at, first, k)})));
  return run;
}

Expr RunKernel::shared_index(const Place& at, const Expr& first, int64_t k) const {
  const Expr slot = kernel::var("slot") * Expr(pixels_of_block()) + Expr(at.number);
  return slot * Expr(out_.c) + plus(first, k);
}

void RunKernel::store_results(const Place& at) {
  std::vector<std::pair<const Value*, Run>> stores;
  for (const Node* member : group_.members)
    for (const auto& result : member->results)
      if (group_.buffers.count(result.get()))
        stores.emplace_back(result.get(), value(*result, at));
  auto store = [&](Body& body) {
    for (const auto& [to, run] : stores)
      for (size_t k = 0; k < run.size(); ++k)
        body.store(group_.buffers.at(to), indices(*to, at, static_cast<int64_t>(k)), run[k]);
  };
  const Expr there = exists(at);
  if (const std::optional<int64_t> known = kernel::constant(there); !known)
    lane_.when(there, store);
  else if (*known != 0)
    store(lane_);
}

std::vector<Expr> RunKernel::indices(const Value& value, const Place& at, int64_t k) {
  return kernel::logical_indices(value.type.shape.size(), at.n, at.h.at, at.w.at,
                                 plus(at.first, k));
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

std::optional<kernel::Kernel> lower_runs(const Group& group, const std::string& name,
                                         const LoweringOptions& options) {
  const std::optional<RunPlan> plan = plan_runs(group, options);
  if (!plan)
    return std::nullopt;
  return RunKernel(group, *plan, options.exact).build(name);
}

} // namespace netc
