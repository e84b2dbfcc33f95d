#pragma once
// A plan loaded on a device: its state, its arena, its kernels, and the programs that run on them.

#include "runtime/device.h"

#include <functional>
#include <map>

namespace netc {

/// A state tensor as the host reads it, row-major in checkpoint order.
struct StateValues {
  std::span<const float> values; ///< Of the device's memory, or of `copy`.
  std::vector<float> copy;       ///< Filled where the host does not see the device's memory.

  StateValues(std::span<const float> seen, std::vector<float> owned)
      : values(owned.empty() ? seen : std::span<const float>(owned)), copy(std::move(owned)) {}
  StateValues(StateValues&&) = default;
  StateValues& operator=(StateValues&&) = default;
};

/// A loaded plan. State persists between runs and is shared by the plan's programs; the arena is
/// shared, too, so that runs follow one another. Nothing is allocated by runs.
///
/// A run reads its feeds and leaves its outputs. start() hands it to the device and may return
/// early; finish() waits for the oldest run of the program that was started. In between the host
/// may write the feeds of the next run, until full():
///
///     session.feed("train", "images") ...      session.start("train");
///     session.feed("train", "images") ...      session.start("train");
///     session.finish("train");                 session.output("train", "loss") ...
///
/// run() does both, for who has nothing else to do.
class Session {
public:
  /// Opens the device, which must be one that the plan is for, and loads the kernels of `folder`.
  /// Throws UserError when the plan is for another target, RuntimeError when the device or a binary
  /// is missing, or the device has too little memory.
  Session(const Plan& plan, const std::filesystem::path& folder, const DeviceSpec& device = {});
  /// On a device that nobody else uses.
  Session(const Plan& plan, const std::filesystem::path& folder, std::unique_ptr<Device> device);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Plan& plan() const { return plan_; }
  Device& device() { return *device_; }
  bool has_program(const std::string& program) const { return programs_.count(program) > 0; }
  /// The most memory that this came to: the device's, or the process's where they are the same.
  int64_t peak_bytes() const;

  /// Sets every state tensor to its initial value: a pure function of (seed, name). Tensors with
  /// init `data_mean` become 0.
  void initialize(uint64_t seed);
  /// The values of a state tensor after all runs started so far. InternalError when unknown.
  StateValues state(const std::string& name);
  /// Calls `fill` with the values of a state tensor, all of which it sets.
  void write_state(const std::string& name, const std::function<void(std::span<float>)>& fill);

  /// The memory of a feed of the next run, to be written before each start(); not to be called when
  /// full(). Empty when the program has none of that name. Images are in the buffer's layout.
  std::span<std::byte> feed(const std::string& program, const std::string& name);
  /// An output of the run that was finished last, until the next start(); empty as above.
  std::span<const std::byte> output(const std::string& program, const std::string& name) const;
  template <class T>
  std::span<const T> output_of(const std::string& program, const std::string& name) const {
    std::span<const std::byte> bytes = output(program, name);
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  /// Starts a run of the program, from its first to its last step.
  void start(const std::string& program);
  /// Waits for the oldest run that is not finished; there must be one.
  void finish(const std::string& program);
  void run(const std::string& program) {
    start(program);
    finish(program);
  }
  /// Runs that were started and not finished.
  int running(const std::string& program) const;
  /// Whether a run must be finished before the next one can be prepared.
  bool full(const std::string& program) const;
  /// Whether the device has nothing left to do for the program.
  bool idle(const std::string& program);

  /// Measures each step of later runs of `program` (or stops); such runs are done when start()
  /// returns. See times().
  void profile(bool on) { profiling_ = on; }
  const std::vector<StepTime>& times(const std::string& program) const;

  /// For tests: the arena of all programs.
  const DeviceMemory& arena() const { return arena_; }
  /// For tests: sets all bytes of the arena and of all outputs.
  void poison(std::byte value);

private:
  struct Slot;
  struct Loaded;
  void check_room() const;
  void allocate_state();
  void bind(const Program& program);
  Slot bind_slot(const Program& program);

  Plan plan_;
  std::unique_ptr<Device> device_; ///< Before all that it lends.
  DeviceMemory arena_;
  std::map<std::string, DeviceMemory> state_;
  std::map<std::string, std::unique_ptr<Loaded>> programs_;
  bool profiling_ = false;
};

} // namespace netc
