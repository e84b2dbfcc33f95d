#pragma once
// What operators see while they are lowered to Kernel IR: tensors as pixels with channels
// innermost.

#include "ir/kernel.h"
#include "ir/op.h"

namespace netc {

/// Rows [lo, hi) of an operand, at most `max_count` of them.
struct RowRange {
  kernel::Expr lo, hi;
  int64_t max_count;
};

namespace kernel {

/// A tensor as pixels: (batch, features) has one pixel a sample, a vector is one pixel, a scalar
/// one pixel of one channel.
struct PixelShape {
  int64_t n = 1, h = 1, w = 1, c = 1;
};
PixelShape pixel_shape(const Shape& shape);
/// Logical indices of channel `c` of pixel (n, h, w) in a tensor of that rank.
std::vector<Expr> logical_indices(size_t rank, Expr n, Expr h, Expr w, Expr c);

/// Where the first result of a node lies in a whole tensor that is cut over devices: the attributes
/// `whole` (its shape) and `at` (where the result begins), each empty on a node that holds it all.
struct Part {
  Shape whole;
  std::vector<int64_t> at;
};
Part part_of(const Node& node);
/// Logical (row-major) index in the whole tensor of channel `c` of pixel (n, h, w) of the result.
Expr whole_index(const Node& node, Expr n, Expr h, Expr w, Expr c);
/// The same of element `i` of the result.
int64_t whole_index(const Node& node, int64_t i);

/// Lowers a map: gives the operands' elements at the current place.
class MapContext {
public:
  virtual ~MapContext() = default;
  const Node& node;
  /// The element of operand `i` here; vectors of channels and scalars are broadcast.
  virtual Expr operand(size_t i) = 0;
  /// Element 0 of operand `i`, which has one element or is a small table (seed, step).
  virtual Expr scalar(size_t i, int64_t element = 0) = 0;
  /// Index of this element of the first result in the whole tensor, see whole_index.
  virtual Expr element_index() = 0;

protected:
  explicit MapContext(const Node& node) : node(node) {}
};

/// Lowers a window: emits, into `body`, the channels of the results at pixel (n, h, w).
class PixelContext {
public:
  virtual ~PixelContext() = default;
  const Node& node;
  Body& body;
  Expr n, h, w;
  /// Whether lanes are threads, of a GPU, which want all that a channel needs in one loop, in
  /// registers; else they are vectors, which want plain loops over arrays.
  const bool threads;
  /// Channel `c` of operand `i` at a pixel, which must be inside the operand (and, for an operand
  /// read through RowsFn, inside the rows it announced).
  virtual Expr load(size_t i, Expr n, Expr h, Expr w, Expr c) = 0;
  /// The same at the current pixel.
  Expr here(size_t i, Expr c) { return load(i, n, h, w, std::move(c)); }
  /// Element of an operand by logical indices, for tables and scalars.
  virtual Expr element(size_t i, std::vector<Expr> indices) = 0;
  /// Stores channel `c` of result `r` at the current pixel into `into` (inside a lanes loop).
  virtual void store(Body& into, size_t r, Expr c, Expr value) = 0;
  /// False when nothing reads result `r`: it need not be computed.
  virtual bool needed(size_t r) const = 0;
  /// A name for a local variable or array that no other operator of the kernel uses.
  virtual std::string local(const std::string& base) = 0;

protected:
  PixelContext(const Node& node, Body& body, Expr n, Expr h, Expr w, bool threads)
      : node(node), body(body), n(std::move(n)), h(std::move(h)), w(std::move(w)),
        threads(threads) {}
};

/// Channels that follow one another at a pixel, an expression each.
using Run = std::vector<Expr>;

/// Where a pixel lies along an axis: `block` * step + offset. Pixels of a block are computed by one
/// thread, and what they read at positions that are the same expression is read once: so these are
/// to be written in terms of the block.
struct Position {
  Expr at; ///< The position, moved inside where a block reaches beyond the last pixel.
  Expr block;
  int64_t step = 1, offset = 0;

  explicit Position(Expr position) : at(position), block(std::move(position)) {}
  Position(Expr at, Expr block, int64_t step, int64_t offset)
      : at(std::move(at)), block(std::move(block)), step(step), offset(offset) {}
};

/// Lowers a window for the threads of a GPU: gives a run of channels of the results at a pixel.
class RunContext {
public:
  virtual ~RunContext() = default;
  const Node& node;
  const Expr n;
  const Position h, w; ///< The pixel.
  const Expr first;    ///< The first channel; where the run is of 4, a multiple of 4.
  const int64_t count; ///< Channels of the run.
  const bool exact;    ///< Sums are in one order everywhere, from the first element on.
  /// A variable of that value, in what the thread does; the one that has it already, if any.
  virtual Expr let(const std::string& base, Expr value) = 0;
  /// `count` channels, from `first` on, of operand `i` at a pixel, which are inside the operand.
  virtual Run load(size_t i, Expr n, Expr h, Expr w, Expr first, int64_t count) = 0;
  /// The same of the current pixel.
  virtual Run here(size_t i, Expr first, int64_t count) = 0;
  /// Of the `i`-th run that PixelLowering::show gives, what the threads of these channels showed.
  virtual Run shared(size_t i, Expr first, int64_t count) = 0;
  /// As of PixelContext.
  virtual bool needed(size_t r) const = 0;

protected:
  RunContext(const Node& node, Expr n, Position h, Position w, Expr first, int64_t count,
             bool exact)
      : node(node), n(std::move(n)), h(std::move(h)), w(std::move(w)), first(std::move(first)),
        count(count), exact(exact) {}
};

} // namespace kernel
} // namespace netc
