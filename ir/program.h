#pragma once
// Program IR: what the runtime executes - a list of kernel launches over buffers with fixed places.

#include "ir/exchange.h"
#include "ir/kernel.h"
#include "ir/support/diagnostics.h"

#include <cstdint>
#include <string>
#include <vector>

namespace netc {

/// Where a buffer lives.
enum class Place {
  state,  ///< Persistent, shared by name with the other programs of a plan: weights, momenta.
  feed,   ///< Written by the host before each run.
  output, ///< Read by the host after each run.
  arena,  ///< Scratch memory of one run, at `offset` in the arena.
};
std::string_view to_string(Place place);

/// Offsets in the arena are multiples of this.
inline constexpr int64_t arena_alignment = 64;

/// A tensor in memory.
struct Buffer {
  std::string name; ///< Unique within the program; of state: its name in checkpoints.
  TensorType type{};
  Layout layout = Layout::row_major;
  Place place = Place::arena;
  int64_t offset = 0; ///< In bytes from the start of the arena; 0 elsewhere.
  int64_t bytes = 0;  ///< At least type.bytes().
  /// Index of an earlier buffer whose memory this one is, -1 if it has its own: the result of an
  /// update in place, after which the other is not used any more. Place, offset and bytes are those
  /// of the other; in the arena, the other's live range ends where this one's begins.
  int alias = -1;
  int first_step = 0; ///< Live range in steps, inclusive; used for the arena.
  int last_step = -1;
  /// Of state, feeds and outputs that are a part of a tensor: the shape of all of it, and the box
  /// of it that this buffer is. Both empty where the buffer is all of it.
  Shape whole{};
  Box part{};

  /// The shape of all of the tensor.
  const Shape& whole_shape() const { return part.empty() ? type.shape : whole; }
  /// What of the tensor the buffer is.
  Box box() const { return part.empty() ? whole_box(type.shape) : part; }
};

/// One launch of a kernel, or this device's share of an exchange. An exchange reads the buffer that
/// the device has before (if any) and writes the one it has after (if any).
struct Step {
  std::string kernel;                   ///< Empty of an exchange.
  std::vector<int> buffers{};           ///< Its parameters: indices into Program::buffers.
  std::vector<kernel::Access> access{}; ///< What it does to each of them.
  std::string label{};                  ///< The layers it computes, for profiles.
  Loc loc{};                            ///< The first of these layers in the description.
  int exchange = -1;                    ///< Index into Program::exchanges; -1 of a kernel.
};

/// What one device does in one run.
struct Program {
  std::string name;
  int device = 0; ///< Which logical device of the plan.
  std::vector<Buffer> buffers{};
  std::vector<Exchange> exchanges{}; ///< In the order of their steps; the same on all devices.
  std::vector<Step> steps{};
  int64_t arena_bytes = 0;
  int64_t lower_bound_bytes = 0; ///< No arena for these live ranges can be smaller.

  int find(std::string_view buffer) const; ///< Index of the buffer of that name, or -1.
};

/// A tensor of a plan's state and how it starts; see the operator `parameter`.
struct StateInit {
  std::string name;
  TensorType type;
  std::string init = "constant";
  double scale = 0;
  int64_t fan_in = 1;
  int64_t fan_out = 1;
  bool trainable = true;
  double rate = 1;  ///< Multiplies the learning rate.
  double decay = 1; ///< Multiplies the weight decay.

  bool operator==(const StateInit&) const = default;
};

/// The text forms; parsing what print returns prints the same.
std::string print(const Program& program);
std::string print(const std::vector<StateInit>& state);

/// Throw UserError naming file, line and column when the text is malformed.
Program parse_program(const std::string& text, const std::string& file_name = "<program>");
std::vector<StateInit> parse_state(const std::string& text,
                                   const std::string& file_name = "<state>");

/// Raises InternalError when an invariant is broken: arena buffers aligned, inside the arena and
/// apart while they are live; every step's buffers exist, are live and are written before they are
/// read; aliases as Buffer::alias says; parts and exchanges fit the types of buffers; each exchange
/// has one step, in order.
void verify(const Program& program);

/// Raises RuntimeError unless the programs of one name, one for each device in order, fit together:
/// they have the same exchanges in the same order; parts of a tensor are of the same tensor, those
/// of state and outputs all of it; no partial result reaches an output or state.
void check_exchanges(const std::vector<const Program*>& programs);

} // namespace netc
