#pragma once
// A plan loaded on the CPU: its state, its arena, its kernels, and the programs that run on them.

#include "ir/plan.h"
#include "runtime/memory.h"
#include "runtime/thread_team.h"

#include <filesystem>
#include <map>
#include <memory>
#include <span>

namespace netc {

/// What a step of a program took, summed over runs.
struct StepTime {
  std::string label;
  double seconds = 0;
};

/// A loaded plan. State persists between runs and is shared by the plan's programs; the arena is
/// shared, too, so that only one program runs at a time. Nothing is allocated during run().
class Session {
public:
  /// Loads the kernels of `folder`. `threads` at most the plan's, 0 for all of them (the plan's
  /// scratch memory is sized for these). Throws RuntimeError when a binary is missing or was made
  /// for another machine.
  Session(const Plan& plan, const std::filesystem::path& folder, int threads = 0);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Sets every state tensor to its initial value: a pure function of (seed, name). Tensors with
  /// init `data_mean` become 0.
  void initialize(uint64_t seed);

  const Plan& plan() const { return plan_; }
  bool has_program(const std::string& program) const { return programs_.count(program) > 0; }
  /// The memory of a state tensor, row-major in checkpoint order. InternalError when unknown.
  std::span<float> state(const std::string& name);
  /// The memory of a feed or output; empty when the program has none of that name. Images are in
  /// the buffer's layout.
  std::span<std::byte> buffer(const std::string& program, const std::string& name);
  template <class T> std::span<T> buffer_of(const std::string& program, const std::string& name) {
    std::span<std::byte> bytes = buffer(program, name);
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  /// Runs a program from first to last step.
  void run(const std::string& program);

  /// Measures each step of later runs of `program` (or stops); see times().
  void profile(bool on) { profiling_ = on; }
  const std::vector<StepTime>& times(const std::string& program) const;

  /// For tests: the arena of all programs, and the memory of all buffers.
  std::span<std::byte> arena() const { return {arena_.data(), static_cast<size_t>(arena_.size())}; }

private:
  struct Loaded;
  void load_kernels(const std::filesystem::path& folder);
  void bind(const Program& program);

  Plan plan_;
  Memory arena_;
  std::map<std::string, Memory> state_;
  std::map<std::string, KernelFunction> kernels_;
  std::vector<void*> libraries_;
  std::map<std::string, std::unique_ptr<Loaded>> programs_;
  std::unique_ptr<ThreadTeam> team_;
  bool profiling_ = false;
};

} // namespace netc
