#pragma once
// Graph nodes to kernels: what a node becomes before it is printed in a dialect.

#include "codegen/device/cpu/contraction_shape.h"
#include "ir/kernel.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "ir/target.h"

#include <variant>

namespace netc {

/// A contraction's kernel: a template of codegen/device specialised by constants.
struct Contraction {
  std::string function; ///< The candidate, e.g. `linear_forward_dot`.
  std::string header;   ///< Where it is, below codegen/device/<dialect>/.
  std::variant<Conv2d, Linear> shape;
  Precision precision = Precision::fp32;
  bool rounded = false;      ///< Memory holds its images or features so, see Value::storage.
  bool has_epilogue = false; ///< The template takes an epilogue (it may be empty).
  std::string ready_epilogue = "netc::NoEpilogue{}"; ///< Where none is generated.
  std::string constants{}; ///< Of CUDA: the text that defines `tiling`, the second argument.
  std::vector<KernelEntry> entries{}; ///< Of CUDA: one a phase, the third argument.
  /// Who computes the product instead of the template.
  std::optional<LibraryCall> library{};
  /// Of a library: what the entries around its call do, a statement each; `{epilogue}` stands for
  /// the last argument.
  std::vector<std::string> statements{};
};

/// A node as a kernel over buffers: operands, then results, then workspaces.
struct LoweredNode {
  std::vector<const Value*> operands; ///< Distinct values read.
  std::vector<const Value*> results;  ///< Values written; results nobody needs are left out.
  std::vector<int64_t> workspaces;    ///< Bytes of each scratch buffer.
  /// Params in the order above. Of a contraction the body is the epilogue: statements over the
  /// variables `pixel`, `channel`, `count` and the array `row`, see codegen/device/README.md.
  kernel::Kernel kernel;
  std::optional<Contraction> contraction;

  int64_t workspace_bytes() const;
};

/// A contraction as its kernel has it, so far as candidates tell the difference.
struct ContractionUse {
  const Node& node;
  DType written = DType::f32; ///< How memory holds the kernel's first result.
  bool bias_gradient = false; ///< See Conv2d::bias_gradient.
};

/// Picks the candidate for a contraction by the name of its operator; see codegen/candidates.h.
using ChooseCandidate = std::function<std::string(const ContractionUse&)>;

struct LoweringOptions {
  Target target{};
  bool exact = false;     ///< `--math exact`: fixed block trees for every reduction.
  int threads = 1;        ///< Threads the plan is for; scratch memory depends on it.
  ChooseCandidate choose; ///< Null: the default rule.
  /// Threads that keep a large GPU busy: where blocks of pixels would leave fewer, there are none.
  int64_t busy_threads = 1 << 16;
};

/// Lowers a node. `is_used` says whether anything reads a value.
LoweredNode lower(const Node& node, const std::function<bool(const Value&)>& is_used,
                  const LoweringOptions& options);

} // namespace netc
