#pragma once
// The plan a command runs: a plan folder as the user named it, or NET compiled for the occasion.

#include "runtime/session.h"
#include "tools/netc/command.h"

#include <optional>

namespace netc::cli {

/// The device that `--device` names, or else the first one that `plan` is for; without a plan the
/// GPU where there is one.
std::unique_ptr<Device> choose_device(const CommonFlags& flags, const Plan* plan);

/// The precisions of a plan's contractions, for people: `tf32 (...)`.
std::string precisions_of(const Plan& plan);

/// Says on stderr, unless quiet, where the session computes and in which precision.
void announce(const CommonFlags& flags, Session& session);

/// A plan and its folder, and the device it runs on. A plan folder as NET needs neither its YAML
/// nor a compiler; anything else is compiled into a folder that goes with this object.
class ReadyPlan {
public:
  /// `train`: the training step is wanted, too. `batch`: for a network that is compiled, when the
  /// user named none. UserError when the user asks a finished plan for another batch, threads it is
  /// not made for, or another arithmetic.
  ReadyPlan(const CommonFlags& flags, bool train, int64_t batch = 0);

  const Plan& plan() const { return plan_; }
  const Recipe& recipe() const { return plan_.recipe; }
  const std::filesystem::path& folder() const { return folder_; }
  /// Loads the plan on its device and announces that; once.
  std::unique_ptr<Session> make_session(const CommonFlags& flags);

private:
  std::unique_ptr<Device> device_;
  Plan plan_;
  std::filesystem::path folder_;
  std::optional<TemporaryPlan> temporary_;
};

/// Whether `net` is the folder of a plan.
bool is_plan_folder(const std::string& net);

} // namespace netc::cli
