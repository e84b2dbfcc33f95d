#pragma once
// A compiled network: programs, kernels and the state they share. All the runtime needs.

#include "ir/program.h"
#include "ir/recipe.h"

#include <array>
#include <filesystem>
#include <optional>

namespace netc {

/// How an entry `kernel_<i>` of CUDA text is launched, and what its compiler says of it. The
/// entries of a kernel run in order, with the same buffers.
struct KernelEntry {
  int64_t blocks = 1;   ///< Of the grid.
  int threads = 256;    ///< Of a block.
  int shared_bytes = 0; ///< Dynamic shared memory of a block.
  int registers = 0;    ///< Of a thread; 0 where the compiler does not say (null in plan.json).
  int spill_bytes = 0;  ///< Of local memory a thread: what did not fit into registers, if it says.
  bool operator==(const KernelEntry&) const = default;
  /// PTX is compiled by the driver that loads it, emulated text for no GPU.
  bool says_registers() const { return registers > 0; }
};

/// A convolution beyond its channels; pairs are height and width.
struct ConvolutionShape {
  std::array<int, 2> in{}, out{}, kernel{};
  int groups = 1;
  std::array<int, 2> stride{1, 1}, dilation{1, 1}, pad{}; ///< As much on either side.
  bool operator==(const ConvolutionShape&) const = default;
};

/// A contraction that a library computes between the entries of a kernel, or in place of one. What
/// it reads and writes is f32: matrices row-major, images NHWC, the weights of a convolution
/// [out][kernel row][kernel column][in / groups].
struct LibraryCall {
  std::string library; ///< `cublaslt` (fully connected layers), `cudnn` (convolutions).
  std::string pass;    ///< `linear_forward`, `conv2d_weight_gradient`, ...
  int64_t batch = 0;
  int64_t in_features = 0; ///< Or channels.
  int64_t out_features = 0;
  std::optional<ConvolutionShape> convolution{};
  // Parameters of the kernel:
  int first = 0, second = 1; ///< The operands, as the contraction has them,
  int bias = -1;             ///< what is added to each row of the result (-1: nothing),
  int result = 0;            ///< the result,
  int scratch = 0;           ///< and memory for the library itself.
  int64_t scratch_bytes = 0;
  int entries_before = 0; ///< How many entries of the kernel come first.
  bool operator==(const LibraryCall&) const = default;
};

/// One distinct kernel; steps of several layers may share it.
struct PlanKernel {
  std::string name;           ///< As Step::kernel names it; stem of its files below `kernels/`.
  std::string binary;         ///< Content hash of source, options and compiler: the cache's key.
  std::string implementation; ///< `generated`, or the contraction candidate.
  std::string precision;      ///< Of a contraction, see ir/target.h; else empty.
  std::vector<KernelEntry> entries{};   ///< Of CUDA text; empty on the CPU.
  std::optional<LibraryCall> library{}; ///< Of GPUs.
};

/// A row of the layer table.
struct LayerRow {
  std::string name;
  std::string type;
  Shape output; ///< Without the batch.
  int64_t parameters = 0;
  int64_t macs_per_image = 0;
  int64_t activation_bytes = 0; ///< For the whole batch.
};

/// A plan as its folder holds it; see write_plan.
struct Plan {
  int format = 5;
  std::string network;
  std::string network_hash; ///< Of the description's text.
  std::string target;       ///< As Target::str(), see ir/target.h.
  std::string compiler;     ///< Version line of the toolchain that made the binaries.
  std::string machine;      ///< Instruction set the binaries need, e.g. `avx512f`.
  bool exact = false;
  std::string precision; ///< Asked of contractions, see ir/target.h; a kernel has its own.
  int devices = 1;       ///< Logical devices that run the programs together.
  std::string strategy;  ///< By which they divide the step; empty of one device.
  int threads = 1;       ///< Of each device.
  int64_t batch = 1;
  Recipe recipe;
  std::vector<LayerRow> layers;
  std::vector<PlanKernel> kernels;
  std::vector<StateInit> state;  ///< Whole tensors, whatever part of them devices hold.
  std::vector<Program> programs; ///< `train` (if trainable) and `eval`, of every device.

  /// Null when there is none.
  const Program* find_program(std::string_view name, int device = 0) const;
  /// The programs of that name by device.
  std::vector<const Program*> device_programs(std::string_view name) const;
  /// The names of programs, each once.
  std::vector<std::string> program_names() const;
};

/// Where the program is below a plan's folder: `train.program.txt`, or `train.1.program.txt` for
/// one of several devices.
std::string program_file(const Plan& plan, std::string_view name, int device);

/// Writes `plan.json`, `state.txt` and the programs into an existing folder. Kernel files are
/// written by who compiles them.
void write_plan(const Plan& plan, const std::filesystem::path& folder);

/// Reads what write_plan wrote. A folder that is no plan, or of another format, is a UserError.
Plan read_plan(const std::filesystem::path& folder);

/// The recipe as JSON text and back (used in plans).
std::string recipe_json(const Recipe& recipe);
Recipe parse_recipe_json(const std::string& text);

} // namespace netc
