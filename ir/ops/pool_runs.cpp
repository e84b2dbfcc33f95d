// Pooling for the threads of a GPU: the pixels of a window, or the windows over a pixel, written
// out.

#include "ir/ops/pool_windows.h"

#include <algorithm>
#include <limits>

namespace netc::ops {

using kernel::cast;
using kernel::Position;
using kernel::select;

namespace {

/// Most pixels or windows that are written out, so that a thread keeps what it needs of them in
/// registers.
constexpr int64_t most_taps = 25;

int64_t few(int64_t taps) {
  return taps <= most_taps ? taps : 0;
}

/// a / b, towards the smaller; b is positive.
int64_t floor_div(int64_t a, int64_t b) {
  return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/// A position along an axis that a pixel reads: the nearest one inside, whether it is it, and the
/// place of the one in the other's window.
struct Tap {
  Expr at, inside, place;
};

/// Of `extent` positions along an axis, base + k. `last`: the largest base, which may stand for a
/// pixel that does not exist; `last_existing`: that of a pixel that does.
Tap tap_at(RunContext& c, const Expr& base, int64_t k, int64_t last, int64_t last_existing,
           int64_t extent, int64_t place) {
  Expr at = k < 0 ? base - Expr(-k) : base + Expr(k), inside = Expr(1);
  if (k < 0) {
    at = max(at, Expr(0));
    inside = Expr(-k) <= base;
  }
  if (last + k >= extent)
    at = min(at, Expr(extent - 1));
  if (last_existing + k >= extent)
    inside = inside && base < Expr(extent - k);
  return {c.let("at", at), kernel::constant(inside) ? inside : c.let("inside", inside),
          Expr(place)};
}

/// The largest base of taps, `scale` times a block, and that of a pixel that exists: of `pixels`.
struct Bases {
  int64_t last, last_existing;
};
Bases bases_of(const Position& p, int64_t pixels, int64_t scale) {
  const int64_t blocks = (pixels + p.step - 1) / p.step;
  const bool whole = (blocks - 1) * p.step + p.offset < pixels;
  return {(blocks - 1) * scale, (blocks - (whole ? 1 : 2)) * scale};
}

/// The pixels of window `o`, of `windows`, along an axis.
std::vector<Tap> window_taps(RunContext& c, const Position& o, int64_t stride, int64_t before,
                             int64_t kernel, int64_t windows, int64_t extent) {
  const auto [last, last_existing] = bases_of(o, windows, o.step * stride);
  const Expr base = o.block * Expr(o.step * stride);
  std::vector<Tap> taps;
  for (int64_t i = 0; i < kernel; ++i)
    taps.push_back(tap_at(c, base, o.offset * stride - before + i, last, last_existing, extent, i));
  return taps;
}

/// Windows over one pixel of an axis, at most.
int64_t windows_over(int64_t stride, int64_t kernel) {
  return (kernel + stride - 1) / stride;
}

/// The windows over pixel `i`, of `pixels`, of an axis. Where blocks are as long as some strides,
/// which they are is the same for all blocks: none, maybe.
std::vector<Tap> covering_taps(RunContext& c, const Position& i, int64_t stride, int64_t before,
                               int64_t kernel, int64_t windows, int64_t pixels) {
  std::vector<Tap> taps;
  if (i.step % stride == 0) {
    const int64_t scale = i.step / stride;
    const auto [last, last_existing] = bases_of(i, pixels, scale);
    const Expr base = i.block * Expr(scale);
    const int64_t end = i.offset + before; // windows that begin behind it begin behind the pixel
    for (int64_t k = floor_div(end - kernel, stride) + 1; k <= floor_div(end, stride); ++k)
      taps.push_back(tap_at(c, base, k, last, last_existing, windows, end - k * stride));
    return taps;
  }
  const Covered over = covered(i.at, stride, before, kernel, windows);
  const Expr first = c.let("first", over.lo);
  auto place = [&](const Expr& window) { return i.at - (window * Expr(stride) - Expr(before)); };
  if (kernel >= stride && (windows - 1) * stride - before + kernel >= pixels) { // one over each
    taps.push_back({first, Expr(1), place(first)});
  } else {
    const Expr at = c.let("at", min(first, Expr(windows - 1)));
    taps.push_back({at, c.let("inside", first < over.hi), place(at)});
  }
  for (int64_t k = 1; k < windows_over(stride, kernel); ++k) {
    const Expr at = c.let("at", min(first + Expr(k), over.hi - Expr(1)));
    taps.push_back({at, c.let("inside", first + Expr(k) < over.hi), place(at)});
  }
  return taps;
}

/// Rows and columns of what one pixel of the result reads.
struct Taps {
  std::vector<Tap> rows, columns;

  /// Calls fn(row, column, index in the window) for each pixel or window, existing or not, but for
  /// what exists for none of the pixels that are computed.
  template <class Fn> void each(Fn fn) const {
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t s = 0; s < columns.size(); ++s)
        if (kernel::constant(rows[r].inside && columns[s].inside) != 0)
          fn(rows[r], columns[s], static_cast<int64_t>(r * columns.size() + s));
  }
};

Taps taps_of_window(RunContext& c, const Window& win) {
  const Shape &x = c.node.operands[0]->type.shape, &y = c.node.result()->type.shape;
  return {window_taps(c, c.h, win.stride_h, win.top, win.kernel_h, y[2], x[2]),
          window_taps(c, c.w, win.stride_w, win.left, win.kernel_w, y[3], x[3])};
}

Taps taps_of_pixel(RunContext& c, const Window& win) {
  const Shape &dy = c.node.operands[0]->type.shape, &dx = c.node.result()->type.shape;
  return {covering_taps(c, c.h, win.stride_h, win.top, win.kernel_h, dy[2], dx[2]),
          covering_taps(c, c.w, win.stride_w, win.left, win.kernel_w, dy[3], dx[3])};
}

/// The sums of a run, of no terms, maybe.
Run sums_of(const RunContext& c, Run sums) {
  sums.resize(static_cast<size_t>(c.count), Expr(0.0)); // all are there, or none
  return sums;
}

/// Adds to each sum, in a variable, or begins it.
void add_terms(RunContext& c, Run& sums, const Run& terms) {
  for (size_t k = 0; k < terms.size(); ++k)
    if (k < sums.size())
      sums[k] = c.let("sum", sums[k] + terms[k]);
    else
      sums.push_back(c.let("sum", terms[k]));
}

} // namespace

int64_t pool_taps(const Node& node) {
  Window win = window_of(node.attrs);
  return few(win.kernel_h * win.kernel_w);
}

int64_t pool_grad_taps(const Node& node) {
  const Window win = window_of(node.attrs);
  return few(windows_over(win.stride_h, win.kernel_h) * windows_over(win.stride_w, win.kernel_w));
}

PixelBlock pool_block(const Node& node) {
  const Window win = window_of(node.attrs);
  const int64_t windows = node.result()->type.shape[3];
  // Columns that are read for a row of windows, so many a block.
  auto columns = [&](int64_t block) {
    return ((block - 1) * win.stride_w + win.kernel_w) * ((windows + block - 1) / block);
  };
  return {1, columns(2) < columns(1) ? 2 : 1};
}

PixelBlock pool_grad_block(const Node& node) {
  constexpr int64_t most_pixels = 4;
  const Window win = window_of(node.attrs);
  auto length = [](int64_t stride, int64_t kernel) {
    return stride > 1 ? stride : kernel > 1 ? 2 : 1;
  };
  const PixelBlock block{length(win.stride_h, win.kernel_h), length(win.stride_w, win.kernel_w)};
  return block.rows * block.columns <= most_pixels ? block : PixelBlock{};
}

std::vector<Run> max_pool_run(RunContext& c) {
  Run best(static_cast<size_t>(c.count), Expr(-std::numeric_limits<float>::max()));
  Run where(best.size(), Expr(0));
  bool begun = false;
  taps_of_window(c, window_of(c.node.attrs)).each([&](const Tap& h, const Tap& w, int64_t index) {
    const Expr inside = h.inside && w.inside;
    const Run values = c.load(0, c.n, h.at, w.at, c.first, c.count);
    if (!begun && kernel::constant(inside)) {
      best = values;
      where.assign(best.size(), Expr(index));
      begun = true;
      return;
    }
    begun = true;
    for (size_t k = 0; k < values.size(); ++k) {
      Expr keeps = stays(best[k], values[k]);
      if (!kernel::constant(inside))
        keeps = kernel::binary("||", inside == Expr(0), keeps);
      keeps = c.let("keeps", keeps);
      if (c.needed(1))
        where[k] = c.let("where", select(keeps, where[k], Expr(index)));
      best[k] = c.let("best", select(keeps, best[k], values[k]));
    }
  });
  for (Expr& index : where)
    index = cast(DType::u8, index);
  return {best, where};
}

std::vector<Run> max_pool_grad_run(RunContext& c) {
  const Window win = window_of(c.node.attrs);
  Run sums;
  taps_of_pixel(c, win).each([&](const Tap& h, const Tap& w, int64_t) {
    const Run dy = c.load(0, c.n, h.at, w.at, c.first, c.count);
    const Run argmax = c.load(1, c.n, h.at, w.at, c.first, c.count);
    // No index is -1.
    const Expr own = c.let(
        "own", select(h.inside && w.inside, h.place * Expr(win.kernel_w) + w.place, Expr(-1)));
    Run terms;
    for (size_t k = 0; k < dy.size(); ++k)
      terms.push_back(select(cast(DType::i32, argmax[k]) == own, dy[k], Expr(0.0)));
    add_terms(c, sums, terms);
  });
  return {sums_of(c, sums)};
}

std::vector<Run> avg_pool_run(RunContext& c) {
  const Window win = window_of(c.node.attrs);
  Run sums;
  taps_of_window(c, win).each([&](const Tap& h, const Tap& w, int64_t) {
    Run values = c.load(0, c.n, h.at, w.at, c.first, c.count);
    for (Expr& value : values)
      value = select(h.inside && w.inside, value, 0.0);
    add_terms(c, sums, values);
  });
  sums = sums_of(c, sums);
  Expr weight =
      c.let("weight", average_weight(c.node, win, c.node.operands[0]->type.shape, c.h.at, c.w.at));
  for (Expr& sum : sums)
    sum = sum * weight;
  return {sums};
}

std::vector<Run> avg_pool_grad_run(RunContext& c) {
  const Window win = window_of(c.node.attrs);
  Run sums;
  taps_of_pixel(c, win).each([&](const Tap& h, const Tap& w, int64_t) {
    Run terms = c.load(0, c.n, h.at, w.at, c.first, c.count);
    Expr weight =
        c.let("weight", average_weight(c.node, win, c.node.result()->type.shape, h.at, w.at));
    for (Expr& term : terms)
      term = select(h.inside && w.inside, term * weight, 0.0);
    add_terms(c, sums, terms);
  });
  return {sums_of(c, sums)};
}

} // namespace netc::ops
