#pragma once
// A run of `netc train`: what it was asked to do, kept in its folder, and the plan it goes by.

#include "runtime/train/run_directory.h"
#include "tools/netc/devices.h"

namespace netc::cli {

struct TrainFlags : CommonFlags {
  double epochs = 0;
  int64_t steps = 0;
  int64_t checkpoint_every = 0;
  std::string run;
  bool resume = false;
  bool validate = false;
  std::set<std::string> given; ///< Long names of the flags on the command line.
  /// Of a resumed run that goes on as it is cut: the strategy's name; its file is in the run.
  std::string kept_strategy;
};

/// What NET names: a description, or a finished plan, which needs no compiler.
struct Origin {
  Recipe recipe;
  std::string network_hash;
  std::optional<NetworkSource> source; ///< Of a description.
};
Origin origin_of(const TrainFlags& flags);

/// Flags of a resumed run: what the command line does not say is as the run began. What would give
/// other numbers than the run had so far is a UserError.
void merge_config(TrainFlags& flags, const RunDirectory& run);

/// A plan for the run that is being made while an earlier one stands, and the earlier one on its
/// way out.
inline constexpr const char* next_plan = "plan.next";
inline constexpr const char* former_plan = "plan.former";

/// Removes what killed processes left of files they were writing; the run is ours alone.
void remove_leftovers(const RunDirectory& run);

/// What a run computes with.
struct RunSetup {
  Devices devices;
  std::optional<Strategy> strategy; ///< To compile by; none for one device, or where NET is a plan.
  std::string cut_name = "single";  ///< The strategy's name,
  std::string cut;                  ///< and its file; empty for one device.
  std::optional<Plan> stored;       ///< The plan in the run's folder, else the one that NET names.
  bool anew = false; ///< A resumed run goes on over more or fewer devices, or is cut otherwise.
};

/// The devices asked for, those the run began with, or what its plan is for. `run` is null of a new
/// run. Sets flags.devices: a resumed run goes on there.
RunSetup set_up(TrainFlags& flags, const Origin& origin, const RunDirectory* run);

/// Keeps in the run what it was asked to do and how its step is cut: `--resume` needs no other
/// flag.
void record(const TrainFlags& flags, const Origin& origin, const RunSetup& setup,
            const RunDirectory& run);

/// The session of the run, over the plan stored in its folder, so that a resumed run computes the
/// same bits, or over one made anew. Nothing stays of a new run that is refused here; of a resumed
/// one nothing changes until it goes on.
std::unique_ptr<Session> open_session(const TrainFlags& flags, const Origin& origin, RunSetup setup,
                                      const RunDirectory& run);

} // namespace netc::cli
