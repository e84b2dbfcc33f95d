#pragma once
// What the steps of a compiled program take, by what they compute.

#include "passes/partition/cost.h"
#include "runtime/session.h"

namespace netc {

/// The graphs that the programs of that name were made of, by device, as the plan's folder has
/// them. UserError when it lacks one.
std::vector<Graph> compiled_graphs(const Plan& plan, const std::filesystem::path& folder,
                                   const std::string& program);

/// How many devices compute anything. Kernels slow each other down where devices share memory and
/// caches, so times belong to that number: those of `single` are of a device whose neighbours are
/// idle, those of `data` of one whose neighbours do the same.
int busy_devices(const std::vector<Graph>& graphs);

/// Whether all executed nodes have times of their own.
bool knows(const MeasuredTimes& times, const std::vector<Graph>& graphs);

/// Medians over runs of a program, all devices at once: runs of about `seconds`, at least three,
/// after two to warm up. A key that several nodes have gets the median over all of them. `prepare`
/// fills the feeds before each run. `graphs` are what the program was made of.
MeasuredTimes measure_steps(Session& session, const std::string& program,
                            const std::vector<Graph>& graphs, double seconds,
                            const std::function<void()>& prepare);

/// Adds times; newer ones replace those of the same keys, and what kernels reach that take about as
/// long.
void merge(MeasuredTimes& into, const MeasuredTimes& newer);

/// The shares of `device`'s peaks that the graphs' nodes reach, by operator; those too short to
/// tell from their launch left out.
std::map<std::string, ReachedShares> reached_shares(const std::vector<Graph>& graphs,
                                                    const MeasuredTimes& times,
                                                    const DeviceProfile& device);

/// The share that all kernels together reach, at most 1: the efficiency of the operator.
double mean_share(const ReachedShares& reached);

} // namespace netc
