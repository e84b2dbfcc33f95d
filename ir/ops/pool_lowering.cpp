// Pooling as Kernel IR: loops over the pixels of a window or the windows of a pixel, plain for
// vectors, written out for the threads of a GPU.

#include "ir/ops/pool_lowering.h"

#include <limits>

namespace netc::ops {

bool full_divisor(const Node& node) {
  return node.attrs.text("divisor") == "full";
}

namespace {

using kernel::cast;
using kernel::load;
using kernel::select;

/// Pixels [lo, hi) of an axis that window `o` covers, and where it starts (maybe before 0).
struct Cover {
  Expr start, lo, hi;
};
Cover cover(Expr o, int64_t stride, int64_t before, int64_t kernel, int64_t extent) {
  Expr start = o * Expr(stride) - Expr(before);
  return {start, max(start, Expr(0)), min(start + Expr(kernel), Expr(extent))};
}

/// Windows [lo, hi) of an axis that cover pixel `i`.
struct Covered {
  Expr lo, hi;
};
Covered covered(Expr i, int64_t stride, int64_t before, int64_t kernel, int64_t windows) {
  // The smallest o with o stride - before + kernel > i; clamped before the division, which
  // truncates, could see a negative number.
  Expr first = max(i + Expr(before - kernel + stride), Expr(0)) / Expr(stride);
  return {first, min((i + Expr(before)) / Expr(stride) + Expr(1), Expr(windows))};
}

/// Calls fn(h, w, body) for the pixels of the operand under the current window.
template <class Fn>
void for_window(PixelContext& c, const Cover& rows, const Cover& columns, Fn fn) {
  c.body.loop(StmtKind::serial, c.local("r"), rows.lo, rows.hi, [&](Expr h, Body& b) {
    b.loop(StmtKind::serial, c.local("s"), columns.lo, columns.hi,
           [&](Expr w, Body& pixel) { fn(h, w, pixel); });
  });
}

/// The first of equals stays, and so does a NaN, which no comparison would find again.
Expr stays(const Expr& best, const Expr& value) {
  if (best->kind == kernel::ExprKind::real)
    return value <= best;
  return kernel::binary("||", value <= best, kernel::binary("!=", best, best));
}

} // namespace

void max_pool_pixel(PixelContext& c) {
  Window win = window_of(c.node.attrs);
  const Shape& x = c.node.operands[0]->type.shape;
  Cover rows = cover(c.h, win.stride_h, win.top, win.kernel_h, x[2]);
  Cover columns = cover(c.w, win.stride_w, win.left, win.kernel_w, x[3]);
  std::string best = c.local("best"), where = c.local("where");
  bool index = c.needed(1);
  c.body.alloc(best, DType::f32, x[1]);
  if (index)
    c.body.alloc(where, DType::i32, x[1]);
  c.body.loop(StmtKind::lanes, c.local("c"), 0, x[1], [&](Expr ch, Body& l) {
    l.store(best, {ch}, Expr(-std::numeric_limits<float>::max()));
    if (index)
      l.store(where, {ch}, Expr(0));
  });
  for_window(c, rows, columns, [&](Expr h, Expr w, Body& pixel) {
    pixel.loop(StmtKind::lanes, c.local("c"), 0, x[1], [&](Expr ch, Body& l) {
      Expr value = l.let(c.local("x"), c.load(0, c.n, h, w, ch));
      Expr old = l.let(c.local("old"), load(best, DType::f32, {ch}));
      Expr keeps = stays(old, value);
      if (index) {
        Expr place = l.let(c.local("place"), load(where, DType::i32, {ch}));
        l.store(where, {ch},
                select(keeps, place, (h - rows.start) * Expr(win.kernel_w) + (w - columns.start)));
      }
      l.store(best, {ch}, select(keeps, old, value));
    });
  });
  c.body.loop(StmtKind::lanes, c.local("c"), 0, x[1], [&](Expr ch, Body& l) {
    c.store(l, 0, ch, load(best, DType::f32, {ch}));
    if (index)
      c.store(l, 1, ch, cast(DType::u8, load(where, DType::i32, {ch})));
  });
}

namespace {

/// Calls fn(window, oh, ow, channel, loop body) for each window over the current pixel and stores
/// the sums of what fn returns.
template <class Fn> void gather(PixelContext& c, Fn fn) {
  Window win = window_of(c.node.attrs);
  const Shape& dy = c.node.operands[0]->type.shape;
  Covered rows = covered(c.h, win.stride_h, win.top, win.kernel_h, dy[2]);
  Covered columns = covered(c.w, win.stride_w, win.left, win.kernel_w, dy[3]);
  std::string acc = c.local("acc");
  c.body.alloc(acc, DType::f32, dy[1]);
  c.body.loop(StmtKind::lanes, c.local("c"), 0, dy[1],
              [&](Expr ch, Body& l) { l.store(acc, {ch}, Expr(0.0)); });
  c.body.loop(StmtKind::serial, c.local("oh"), rows.lo, rows.hi, [&](Expr oh, Body& b) {
    b.loop(StmtKind::serial, c.local("ow"), columns.lo, columns.hi, [&](Expr ow, Body& window) {
      window.loop(StmtKind::lanes, c.local("c"), 0, dy[1], [&](Expr ch, Body& l) {
        l.store(acc, {ch}, load(acc, DType::f32, {ch}) + fn(win, oh, ow, ch, l));
      });
    });
  });
  c.body.loop(StmtKind::lanes, c.local("c"), 0, dy[1],
              [&](Expr ch, Body& l) { c.store(l, 0, ch, load(acc, DType::f32, {ch})); });
}

} // namespace

void max_pool_grad_pixel(PixelContext& c) {
  gather(c, [&](const Window& win, Expr oh, Expr ow, Expr ch, Body& l) {
    // Loaded whether it is needed or not: under a condition, g++ 12 vectorises the load wrongly.
    Expr dy = l.let(c.local("dy"), c.load(0, c.n, oh, ow, ch));
    Expr r = c.h - (oh * Expr(win.stride_h) - Expr(win.top));
    Expr s = c.w - (ow * Expr(win.stride_w) - Expr(win.left));
    return select(cast(DType::i32, c.load(1, c.n, oh, ow, ch)) == r * Expr(win.kernel_w) + s, dy,
                  Expr(0.0));
  });
}

namespace {

/// Most pixels or windows that are written out, so that a thread keeps what it needs of them in
/// registers.
constexpr int64_t most_taps = 25;

int64_t few(int64_t taps) {
  return taps <= most_taps ? taps : 0;
}

/// A position along an axis: the nearest one inside, and whether it is it.
struct Tap {
  Expr at, inside;
};

/// The pixels of window `o` along an axis.
std::vector<Tap> window_taps(RunContext& c, const Expr& o, int64_t stride, int64_t before,
                             int64_t kernel, int64_t windows, int64_t extent) {
  const Cover window = cover(o, stride, before, kernel, extent);
  const bool all_inside = before <= 0 && (windows - 1) * stride - before + kernel <= extent;
  std::vector<Tap> taps;
  for (int64_t i = 0; i < kernel; ++i) {
    Expr position = window.start + Expr(i);
    if (all_inside)
      taps.push_back({c.let("at", position), Expr(1)});
    else
      taps.push_back({c.let("at", min(max(position, window.lo), window.hi - Expr(1))),
                      c.let("inside", window.lo <= position && position < window.hi)});
  }
  return taps;
}

/// Windows over one pixel of an axis, at most; 0 when some pixel is under none.
int64_t windows_over(int64_t stride, int64_t before, int64_t kernel, int64_t windows,
                     int64_t extent) {
  const bool all = kernel >= stride && (windows - 1) * stride - before + kernel >= extent;
  return all ? (kernel + stride - 1) / stride : 0;
}

/// The windows over pixel `i` of an axis; the first always exists.
std::vector<Tap> covering_taps(RunContext& c, const Expr& i, int64_t stride, int64_t before,
                               int64_t kernel, int64_t windows, int64_t extent) {
  const Covered over = covered(i, stride, before, kernel, windows);
  Expr first = c.let("first", over.lo);
  std::vector<Tap> taps = {{first, Expr(1)}};
  for (int64_t k = 1; k < windows_over(stride, before, kernel, windows, extent); ++k)
    taps.push_back({c.let("at", min(first + Expr(k), over.hi - Expr(1))),
                    c.let("inside", first + Expr(k) < over.hi)});
  return taps;
}

/// Rows and columns of what one pixel of the result reads.
struct Taps {
  std::vector<Tap> rows, columns;

  /// Calls fn(row, column, index in the window) for each pixel or window, existing or not.
  template <class Fn> void each(Fn fn) const {
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t s = 0; s < columns.size(); ++s)
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
  const Shape &dy = node.operands[0]->type.shape, &dx = node.result()->type.shape;
  Window win = window_of(node.attrs);
  return few(windows_over(win.stride_h, win.top, win.kernel_h, dy[2], dx[2]) *
             windows_over(win.stride_w, win.left, win.kernel_w, dy[3], dx[3]));
}

std::vector<Run> max_pool_run(RunContext& c) {
  Run best(static_cast<size_t>(c.count), Expr(-std::numeric_limits<float>::max()));
  Run where(best.size(), Expr(0));
  taps_of_window(c, window_of(c.node.attrs)).each([&](const Tap& h, const Tap& w, int64_t index) {
    const Run values = c.load(0, c.n, h.at, w.at, c.first, c.count);
    const Expr inside = h.inside && w.inside;
    if (index == 0 && kernel::constant(inside)) {
      best = values;
      return;
    }
    for (size_t k = 0; k < values.size(); ++k) {
      Expr keeps = stays(best[k], values[k]);
      if (!kernel::constant(inside))
        keeps = kernel::binary("||", inside == Expr(0), keeps);
      keeps = c.let("keeps", keeps);
      best[k] = c.let("best", select(keeps, best[k], values[k]));
      if (c.needed(1))
        where[k] = c.let("where", select(keeps, where[k], Expr(index)));
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
    Expr r = c.h - (h.at * Expr(win.stride_h) - Expr(win.top));
    Expr s = c.w - (w.at * Expr(win.stride_w) - Expr(win.left));
    // No index is -1.
    Expr own = c.let("own", select(h.inside && w.inside, r * Expr(win.kernel_w) + s, Expr(-1)));
    Run terms;
    for (size_t k = 0; k < dy.size(); ++k)
      terms.push_back(select(cast(DType::i32, argmax[k]) == own, dy[k], Expr(0.0)));
    add_terms(c, sums, terms);
  });
  return {sums};
}

namespace {

/// Pixels counted along an axis by the average: those in the image, or with its padding.
Expr counted(const Cover& c, const Node& node, int64_t kernel, int64_t extent, int64_t after) {
  return full_divisor(node) ? min(c.start + Expr(kernel), Expr(extent + after)) - c.start
                            : c.hi - c.lo;
}

Expr average_weight(const Node& node, const Window& win, const Shape& x, Expr oh, Expr ow) {
  Cover rows = cover(oh, win.stride_h, win.top, win.kernel_h, x[2]);
  Cover columns = cover(ow, win.stride_w, win.left, win.kernel_w, x[3]);
  return Expr(1.0) / cast(DType::f32, counted(rows, node, win.kernel_h, x[2], win.bottom) *
                                          counted(columns, node, win.kernel_w, x[3], win.right));
}

} // namespace

void avg_pool_pixel(PixelContext& c) {
  Window win = window_of(c.node.attrs);
  const Shape& x = c.node.operands[0]->type.shape;
  std::string sum = c.local("sum");
  c.body.alloc(sum, DType::f32, x[1]);
  c.body.loop(StmtKind::lanes, c.local("c"), 0, x[1],
              [&](Expr ch, Body& l) { l.store(sum, {ch}, Expr(0.0)); });
  for_window(c, cover(c.h, win.stride_h, win.top, win.kernel_h, x[2]),
             cover(c.w, win.stride_w, win.left, win.kernel_w, x[3]),
             [&](Expr h, Expr w, Body& pixel) {
               pixel.loop(StmtKind::lanes, c.local("c"), 0, x[1], [&](Expr ch, Body& l) {
                 l.store(sum, {ch}, load(sum, DType::f32, {ch}) + c.load(0, c.n, h, w, ch));
               });
             });
  Expr weight = c.body.let(c.local("weight"), average_weight(c.node, win, x, c.h, c.w));
  c.body.loop(StmtKind::lanes, c.local("c"), 0, x[1],
              [&](Expr ch, Body& l) { c.store(l, 0, ch, load(sum, DType::f32, {ch}) * weight); });
}

void avg_pool_grad_pixel(PixelContext& c) {
  gather(c, [&](const Window& win, Expr oh, Expr ow, Expr ch, Body&) {
    return c.load(0, c.n, oh, ow, ch) *
           average_weight(c.node, win, c.node.result()->type.shape, oh, ow);
  });
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
  Expr weight =
      c.let("weight", average_weight(c.node, win, c.node.operands[0]->type.shape, c.h, c.w));
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
  return {sums};
}

RowRange pool_rows(const Node& node, size_t, const Expr& h) {
  Window win = window_of(node.attrs);
  Cover rows = cover(h, win.stride_h, win.top, win.kernel_h, node.operands[0]->type.shape[2]);
  return {rows.lo, rows.hi, win.kernel_h};
}

RowRange pool_grad_rows(const Node& node, size_t, const Expr& h) {
  Window win = window_of(node.attrs);
  Covered rows = covered(h, win.stride_h, win.top, win.kernel_h, node.operands[0]->type.shape[2]);
  return {rows.lo, rows.hi, (win.kernel_h + win.stride_h - 1) / win.stride_h};
}

} // namespace netc::ops
