#pragma once
// The devices that flags name, and how a step is cut over several of them.

#include "runtime/session.h"
#include "tools/netc/command.h"
#include "tools/partition/calibration.h"

#include <optional>

namespace netc::cli {

using Devices = std::vector<std::unique_ptr<Device>>;

/// What `--devices` lists, or `--device`; empty when neither is given. UserError for an empty name.
std::vector<std::string> named_devices(const CommonFlags& flags);

/// The first devices that a plan is for: `cpu:0`, `cpu:1`, ...
std::vector<std::string> devices_for(const Plan& plan);

/// As `--devices` takes them: `cpu:0,cpu:1`.
std::string names_of(const Devices& devices);

/// Opens the devices that flags name, or else the first ones that `plan` is for; without a plan the
/// GPU where there is one. Several CPU devices divide cores and threads. UserError unless what is
/// compiled for the first one runs on all.
Devices choose_devices(const CommonFlags& flags, const Plan* plan);

/// How the step of a network is cut over several devices: as `--partition` says (`auto`: as the
/// search finds best for this machine), else as the
/// network's section `partition:` does, else by `data`; says which on stderr, unless quiet, where
/// the user did not. Nothing for one device, of which `--partition` is a UserError. `batch`: images
/// in the step, 0: the network's own.
std::optional<Strategy> choose_strategy(const CommonFlags& flags, const Network& network,
                                        int devices, int64_t batch);

/// How this machine is measured as those devices for steps in the arithmetic of the flags.
CalibrateOptions calibrate_options(const CommonFlags& flags,
                                   const std::vector<std::string>& devices);

/// What is known of this machine as those devices, measured now if nothing is.
Calibration calibration_of_devices(const CommonFlags& flags,
                                   const std::vector<std::string>& devices);

/// The name of the strategy of a plan: `single` for one device.
std::string strategy_of(const Plan& plan);

/// The names of a session's devices.
std::vector<std::string> device_names(Session& session);

/// The precisions of a plan's contractions, for people: `tf32 (...)`.
std::string precisions_of(const Plan& plan);

/// Says on stderr, unless quiet, where the session computes, how the step is cut, in which
/// precision, and where devices share what they run on.
void announce(const CommonFlags& flags, Session& session);

} // namespace netc::cli
