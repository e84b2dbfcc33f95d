#pragma once
// The plan a command runs: a plan folder as the user named it, or NET compiled for the occasion.

#include "tools/netc/devices.h"

namespace netc::cli {

/// A plan and its folder, and the devices it runs on. A plan folder as NET needs neither its YAML
/// nor a compiler; anything else is compiled into a folder that goes with this object.
class ReadyPlan {
public:
  /// `train`: the training step is wanted, too. `batch`: for a network that is compiled, when the
  /// user named none. UserError when the user asks a finished plan for another batch, threads or
  /// devices it is not made for, another strategy, or another arithmetic.
  ReadyPlan(const CommonFlags& flags, bool train, int64_t batch = 0);

  const Plan& plan() const { return plan_; }
  const Recipe& recipe() const { return plan_.recipe; }
  const std::filesystem::path& folder() const { return folder_; }
  /// Loads the plan on its devices and announces that; once.
  std::unique_ptr<Session> make_session(const CommonFlags& flags);

private:
  Devices devices_;
  Plan plan_;
  std::filesystem::path folder_;
  std::optional<TemporaryPlan> temporary_;
};

/// Whether `net` is the folder of a plan.
bool is_plan_folder(const std::string& net);

} // namespace netc::cli
