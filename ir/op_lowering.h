#pragma once
// The part of an operator's record that says what kernel it becomes. What the functions see is in
// ir/lowering.h.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace netc {

struct Node;

namespace kernel {
class MapContext;
class PixelContext;
class RunContext;
class Body;
struct Kernel;
struct Expr;
} // namespace kernel

/// Value of an element of the first result from the operands' elements at the same place.
using MapFn = kernel::Expr (*)(kernel::MapContext&);
/// Emits the statements that compute all channels of the results at one pixel.
using PixelFn = void (*)(kernel::PixelContext&);
/// Builds a whole kernel for the node: parameters are operands, then results, then workspaces.
using KernelFn = kernel::Kernel (*)(const Node&);

/// Element by element: fusable everywhere, contraction epilogues included.
struct MapLowering {
  MapFn map;
};
/// Rows of an operand that row `h` of the result reads: [lo, hi), at most `max_count` of them.
struct RowRange;
using RowsFn = RowRange (*)(const Node&, size_t operand, const kernel::Expr& h);
/// The same for a run of channels, by a thread of a GPU: gives those of each result.
using RunFn = std::vector<std::vector<kernel::Expr>> (*)(kernel::RunContext&);
/// Pixels of an operand under one of the result, all written out by a RunFn; 0: it cannot be used.
using TapsFn = int64_t (*)(const Node&);
/// What a run of channels needs of others at the pixel: nothing, their operands, or also what their
/// threads have computed.
enum class Reach { own, near, shared };
/// A block of neighbouring pixels, rows x columns.
struct PixelBlock {
  int64_t rows = 1, columns = 1;
};
/// Pixels of the result that a thread of a GPU computes best together, because they read the same.
using BlockFn = PixelBlock (*)(const Node&);
/// A window: all channels of a pixel from some pixels of the operands. `rows` null: reads only the
/// same pixel of its operands (LRN, softmax).
struct PixelLowering {
  PixelFn pixel;
  RowsFn rows = nullptr;
  bool fusable = true;
  RunFn run = nullptr; ///< For GPUs, where `taps` allows it; null: `pixel`.
  TapsFn taps = nullptr;
  Reach reach = Reach::own; ///< Of `run`.
  /// Of Reach::shared: what `run` finds of other threads (RunContext::shared), a run each.
  RunFn show = nullptr;
  BlockFn block = nullptr; ///< Null: pixel by pixel.
};
/// Gives the elements of all results, from the operands' at the same place. Operands of one element
/// are numbers of the step.
using UpdateFn = std::vector<kernel::Expr> (*)(kernel::MapContext&, kernel::Body& lane);
/// What a parameter and its state become: a sweep, or behind the contraction that computes the
/// gradient.
struct UpdateLowering {
  UpdateFn update;
};
/// Anything else that Kernel IR can say (reductions over pixels).
struct KernelLowering {
  KernelFn kernel;
  /// For GPUs, whose many threads want the loops in another order; null: `kernel`. Not used by
  /// exact plans, whose sums have one order everywhere.
  KernelFn for_gpu = nullptr;
};
/// A contraction: the name of a template in codegen/device.
struct TemplateLowering {
  std::string name;
};
using Lowering = std::variant<std::monostate, MapLowering, PixelLowering, UpdateLowering,
                              KernelLowering, TemplateLowering>;

} // namespace netc
