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

/// Taps of a window that are written out, so that a thread keeps them in registers; larger windows
/// are loops.
constexpr int64_t most_taps = 25;

/// A position along an axis: the nearest one inside, and whether it is it.
struct Tap {
  Expr at, inside;
};

/// The taps of a window along an axis, computed once for all channels.
std::vector<Tap> window_taps(PixelContext& c, const Cover& window, int64_t kernel,
                             bool all_inside) {
  std::vector<Tap> taps;
  for (int64_t i = 0; i < kernel; ++i) {
    Expr position = window.start + Expr(i);
    if (all_inside)
      taps.push_back({c.body.let(c.local("at"), position), Expr(1)});
    else
      taps.push_back(
          {c.body.let(c.local("at"), min(max(position, window.lo), window.hi - Expr(1))),
           c.body.let(c.local("inside"), window.lo <= position && position < window.hi)});
  }
  return taps;
}

/// Whether every window lies inside the axis.
bool all_inside(int64_t windows, int64_t stride, int64_t before, int64_t kernel, int64_t extent) {
  return before <= 0 && (windows - 1) * stride - before + kernel <= extent;
}

/// Rows and columns of the current window.
struct WindowTaps {
  std::vector<Tap> rows, columns;

  WindowTaps(PixelContext& c, const Window& win) {
    const Shape &x = c.node.operands[0]->type.shape, &y = c.node.result()->type.shape;
    rows = window_taps(c, cover(c.h, win.stride_h, win.top, win.kernel_h, x[2]), win.kernel_h,
                       all_inside(y[2], win.stride_h, win.top, win.kernel_h, x[2]));
    columns = window_taps(c, cover(c.w, win.stride_w, win.left, win.kernel_w, x[3]), win.kernel_w,
                          all_inside(y[3], win.stride_w, win.left, win.kernel_w, x[3]));
  }
  /// Calls fn(row, column, index in the window) for each tap, inside the operand or not.
  template <class Fn> void each(Fn fn) const {
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t s = 0; s < columns.size(); ++s)
        fn(rows[r], columns[s], static_cast<int64_t>(r * columns.size() + s));
  }
};

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
  return kernel::binary("||", value <= best, kernel::binary("!=", best, best));
}

void max_pool_thread(PixelContext& c, const Window& win) {
  const WindowTaps taps(c, win);
  c.body.loop(StmtKind::lanes, c.local("c"), 0, c.node.result()->type.shape[1],
              [&](Expr ch, Body& l) {
                Expr best(-std::numeric_limits<float>::max()), where(0);
                taps.each([&](const Tap& h, const Tap& w, int64_t index) {
                  Expr value = l.let(c.local("x"), c.load(0, c.n, h.at, w.at, ch));
                  Expr keeps = stays(best, value);
                  if (Expr inside = h.inside && w.inside; !kernel::constant(inside))
                    keeps = kernel::binary("||", inside == Expr(0), keeps);
                  keeps = l.let(c.local("keeps"), keeps);
                  best = l.let(c.local("best"), select(keeps, best, value));
                  if (c.needed(1))
                    where = l.let(c.local("where"), select(keeps, where, Expr(index)));
                });
                c.store(l, 0, ch, best);
                if (c.needed(1))
                  c.store(l, 1, ch, cast(DType::u8, where));
              });
}

} // namespace

void max_pool_pixel(PixelContext& c) {
  Window win = window_of(c.node.attrs);
  if (c.threads && win.kernel_h * win.kernel_w <= most_taps)
    return max_pool_thread(c, win);
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

/// Windows over one pixel of an axis, at most; 0 when some pixel is under none.
int64_t windows_over(int64_t stride, int64_t before, int64_t kernel, int64_t windows,
                     int64_t extent) {
  const bool all = kernel >= stride && (windows - 1) * stride - before + kernel >= extent;
  return all ? (kernel + stride - 1) / stride : 0;
}

/// The windows over the current pixel along an axis, `count` at most; the first always exists.
std::vector<Tap> covering_taps(PixelContext& c, const Covered& windows, int64_t count) {
  Expr first = c.body.let(c.local("first"), windows.lo);
  std::vector<Tap> taps = {{first, Expr(1)}};
  for (int64_t i = 1; i < count; ++i)
    taps.push_back({c.body.let(c.local("at"), min(first + Expr(i), windows.hi - Expr(1))),
                    c.body.let(c.local("inside"), first + Expr(i) < windows.hi)});
  return taps;
}

/// The same as gather() below, with the windows written out.
template <class Fn>
void gather_in_thread(PixelContext& c, const Window& win, const std::vector<Tap>& rows,
                      const std::vector<Tap>& columns, Fn fn) {
  c.body.loop(StmtKind::lanes, c.local("c"), 0, c.node.result()->type.shape[1],
              [&](Expr ch, Body& l) {
                Expr sum;
                for (const Tap& oh : rows)
                  for (const Tap& ow : columns) {
                    Expr term = select(oh.inside && ow.inside, fn(win, oh.at, ow.at, ch, l), 0.0);
                    sum = l.let(c.local("sum"), sum ? sum + term : term);
                  }
                c.store(l, 0, ch, sum);
              });
}

/// Calls fn(window, oh, ow, channel, loop body) for each window over the current pixel and stores
/// the sums of what fn returns.
template <class Fn> void gather(PixelContext& c, Fn fn) {
  Window win = window_of(c.node.attrs);
  const Shape &dy = c.node.operands[0]->type.shape, &dx = c.node.result()->type.shape;
  Covered rows = covered(c.h, win.stride_h, win.top, win.kernel_h, dy[2]);
  Covered columns = covered(c.w, win.stride_w, win.left, win.kernel_w, dy[3]);
  const int64_t down = windows_over(win.stride_h, win.top, win.kernel_h, dy[2], dx[2]);
  const int64_t across = windows_over(win.stride_w, win.left, win.kernel_w, dy[3], dx[3]);
  if (c.threads && down * across > 0 && down * across <= most_taps)
    return gather_in_thread(c, win, covering_taps(c, rows, down), covering_taps(c, columns, across),
                            fn);
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

void avg_pool_thread(PixelContext& c, const Window& win) {
  const Shape& x = c.node.operands[0]->type.shape;
  const WindowTaps taps(c, win);
  Expr weight = c.body.let(c.local("weight"), average_weight(c.node, win, x, c.h, c.w));
  c.body.loop(StmtKind::lanes, c.local("c"), 0, x[1], [&](Expr ch, Body& l) {
    Expr sum(0.0);
    taps.each([&](const Tap& h, const Tap& w, int64_t) {
      Expr value = l.let(c.local("x"), c.load(0, c.n, h.at, w.at, ch));
      sum = l.let(c.local("sum"), sum + select(h.inside && w.inside, value, 0.0));
    });
    c.store(l, 0, ch, sum * weight);
  });
}

} // namespace

void avg_pool_pixel(PixelContext& c) {
  Window win = window_of(c.node.attrs);
  if (c.threads && win.kernel_h * win.kernel_w <= most_taps)
    return avg_pool_thread(c, win);
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
