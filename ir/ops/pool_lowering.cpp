// Pooling as Kernel IR, plain for vectors: loops over the pixels of a window or the windows of a
// pixel.

#include "ir/ops/pool_windows.h"

#include <limits>

namespace netc::ops {

namespace {

using kernel::cast;
using kernel::load;
using kernel::select;

/// Calls fn(h, w, body) for the pixels of the operand under the current window.
template <class Fn>
void for_window(PixelContext& c, const Cover& rows, const Cover& columns, Fn fn) {
  c.body.loop(StmtKind::serial, c.local("r"), rows.lo, rows.hi, [&](Expr h, Body& b) {
    b.loop(StmtKind::serial, c.local("s"), columns.lo, columns.hi,
           [&](Expr w, Body& pixel) { fn(h, w, pixel); });
  });
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
