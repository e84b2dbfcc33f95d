#pragma once
// A plan loaded on its devices: state, arenas, kernels, and the programs that run on them.

#include "runtime/slot.h"
#include "runtime/state.h"
#include "runtime/thread_team.h"

namespace netc {

/// UserError at the line of `folder`'s plan.json unless `device` runs kernels for the plan's
/// target. A session asks this itself; who copies a plan asks before, so that the user's own is
/// named.
void check_target(const Plan& plan, const std::filesystem::path& folder, const Device& device);

/// A loaded plan. State persists between runs and is shared by the plan's programs; the arenas are
/// shared, too, so that runs follow one another. Nothing is allocated by runs.
///
/// A run reads its feeds and leaves its outputs. start() hands it to the devices and may return
/// early; finish() waits for the oldest run of the program that was started. In between the host
/// may write the feeds of the next run, until full():
///
///     session.feed("train", "images") ...      session.start("train");
///     session.feed("train", "images") ...      session.start("train");
///     session.finish("train");                 session.output("train", "loss") ...
///
/// run() does both, for who has nothing else to do.
///
/// The host knows whole tensors only: feeds, outputs and state are divided among the devices, and
/// put together, as the plan says.
class Session {
public:
  /// Opens the device, which must be one that the plan is for, and loads the kernels of `folder`.
  /// Throws UserError when the plan is for another target or for several devices, RuntimeError when
  /// the device or a binary is missing, or the device has too little memory.
  Session(const Plan& plan, const std::filesystem::path& folder, const DeviceSpec& device = {});
  /// The same over as many devices as the plan is for, by logical device. RuntimeError, too, when
  /// the devices' programs do not fit together, see check_exchanges.
  Session(const Plan& plan, const std::filesystem::path& folder, std::vector<DeviceSpec> devices);
  /// On devices that nobody else uses.
  Session(const Plan& plan, const std::filesystem::path& folder, std::unique_ptr<Device> device);
  Session(const Plan& plan, const std::filesystem::path& folder,
          std::vector<std::unique_ptr<Device>> devices);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Plan& plan() const { return plan_; }
  int device_count() const { return static_cast<int>(devices_.size()); }
  Device& device(int index = 0) { return *devices_.at(static_cast<size_t>(index)).device; }
  bool has_program(const std::string& program) const { return programs_.count(program) > 0; }
  /// The most memory that this came to: the devices', or the process's where they are the same.
  int64_t peak_bytes() const;
  /// What a device has for the plan: state, arena, its feeds and outputs.
  int64_t device_bytes(int device) const;
  /// Remarks of the devices worth showing once, each once.
  std::vector<std::string> notes() const;

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
  /// Whether the devices have nothing left to do for the program.
  bool idle(const std::string& program);

  /// Measures each step of later runs of `program` (or stops); such runs are done when start()
  /// returns. See times().
  void profile(bool on) { profiling_ = on; }
  /// What the steps of a device took. Times of one run have the same zero on all devices.
  std::span<const StepTime> times(const std::string& program, int device = 0) const;

  /// For tests: the arena of all programs on a device.
  const DeviceMemory& arena(int device = 0) const {
    return devices_.at(static_cast<size_t>(device)).arena;
  }
  /// For tests: sets all bytes of the arenas and of all outputs.
  void poison(std::byte value);
  /// For tests: a feed of the run that was finished last, as that run left it on the device; until
  /// the next start().
  std::span<const std::byte> used_feed(const std::string& program, const std::string& name);
  /// For tests: each of several devices calls `hook` before each thing it does in a run.
  void before_tasks(std::function<void(int device)> hook) { hook_ = std::move(hook); }

private:
  struct Loaded;
  void load(const std::filesystem::path& folder);
  void check_programs(const std::filesystem::path& folder) const;
  /// Of state, arena, feeds and outputs together.
  int64_t needed_bytes(size_t device) const;
  void check_room(size_t device) const;
  void bind(const std::string& program);
  void synchronize();

  Plan plan_;
  std::vector<LoadedDevice> devices_;
  std::unique_ptr<ThreadTeam>
      drivers_; ///< One thread a device, where there are several or exchanges.
  std::function<void(int)> hook_;
  std::map<std::string, std::unique_ptr<Loaded>> programs_;
  bool profiling_ = false;
};

} // namespace netc
