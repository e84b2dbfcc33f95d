#include "tools/partition/step_times.h"

#include "ir/ops.h"
#include "ir/support/files.h"
#include "ir/support/median.h"

#include <algorithm>

namespace netc {

namespace {

constexpr int warmup = 2, fewest = 3;

/// Samples by key.
using Samples = std::map<std::string, std::vector<double>>;

std::map<std::string, double> medians(const Samples& samples) {
  std::map<std::string, double> values;
  for (const auto& [key, list] : samples)
    values[key] = median(list);
  return values;
}

/// The nodes that the steps of a program run, by step; null for exchanges.
std::vector<const Node*> nodes_of(const Program& program, const Graph& graph) {
  std::vector<const Node*> nodes;
  for (const auto& node : graph.nodes)
    if (node->op != &ops::parameter && node->op != &ops::feed)
      nodes.push_back(node->op == &ops::exchange ? nullptr : node.get());
  bool fits = nodes.size() == program.steps.size();
  for (size_t i = 0; fits && i < nodes.size(); ++i)
    fits = nodes[i] ? program.steps[i].label.starts_with(nodes[i]->name + ":")
                    : program.steps[i].exchange >= 0;
  NETC_CHECK(fits, "`{}` of device {} was not made of this graph", program.name, program.device);
  return nodes;
}

/// Splits the time of a node among its members, where it is fused, by their arithmetic.
void add_shares(const Node& node, double seconds, Samples& shares) {
  const std::vector<const Node*> members = executed_members(node);
  double all = 0;
  for (const Node* member : members)
    all += static_cast<double>(member->op->flops(*member));
  for (const Node* member : members)
    shares[unrounded_key(*member)].push_back(
        all > 0 ? seconds * static_cast<double>(member->op->flops(*member)) / all
                : seconds / static_cast<double>(members.size()));
}

/// What the steps took in each run that was profiled.
class StepSamples {
public:
  StepSamples(const Session& session, const std::string& program, const std::vector<Graph>& graphs)
      : session_(session), program_(program) {
    for (int d = 0; d < session.device_count(); ++d)
      for (const Node* node :
           nodes_of(*session.plan().find_program(program, d), graphs.at(static_cast<size_t>(d))))
        steps_.push_back({node, 0, {}});
    each_step([](Step& step, const StepTime& time) { step.before = time.seconds; });
  }

  /// Adds the last run; returns the seconds until its last step ended.
  double take() {
    double end = 0;
    each_step([&](Step& step, const StepTime& time) {
      step.seconds.push_back(time.seconds - step.before);
      step.before = time.seconds;
      end = std::max(end, time.end);
    });
    return end;
  }

  MeasuredTimes times() const {
    Samples own, shares;
    for (const Step& step : steps_)
      if (step.node) {
        const double typical = median(step.seconds);
        const std::string key = node_key(*step.node);
        own[key].push_back(typical);
        if (step.node->body || key != unrounded_key(*step.node))
          add_shares(*step.node, typical, shares);
      }
    return {medians(own), medians(shares)};
  }

private:
  struct Step {
    const Node* node; ///< Null of exchanges.
    double before;    ///< What all runs before took.
    std::vector<double> seconds;
  };

  /// Calls visit(step, time) for the steps of all devices.
  template <class Visit> void each_step(const Visit& visit) {
    auto step = steps_.begin();
    for (int d = 0; d < session_.device_count(); ++d)
      for (const StepTime& time : session_.times(program_, d))
        visit(*step++, time);
  }

  const Session& session_;
  const std::string& program_;
  std::vector<Step> steps_; ///< Of all devices, one after the other.
};

template <class Visit> void each_executed(const std::vector<Graph>& graphs, const Visit& visit) {
  for (const Graph& graph : graphs)
    for (const auto& node : graph.nodes)
      if (is_executed(*node))
        visit(*node);
}

} // namespace

std::vector<Graph> compiled_graphs(const Plan& plan, const std::filesystem::path& folder,
                                   const std::string& program) {
  std::vector<Graph> graphs;
  for (int device = 0; device < plan.devices; ++device) {
    const std::filesystem::path file =
        folder / (plan.devices == 1 ? program + ".graph.txt"
                                    : fmt::format("{}.{}.graph.txt", program, device));
    std::optional<std::string> text = read_text(file);
    if (!text)
      user_error(fmt::format("`{}` cannot be read", file.string()), "compile the network again");
    graphs.push_back(parse_graph(*text, file.string()));
  }
  return graphs;
}

int busy_devices(const std::vector<Graph>& graphs) {
  return static_cast<int>(std::count_if(graphs.begin(), graphs.end(), [](const Graph& graph) {
    return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                       [](const auto& node) { return is_executed(*node); });
  }));
}

bool knows(const MeasuredTimes& times, const std::vector<Graph>& graphs) {
  bool all = true;
  each_executed(graphs,
                [&](const Node& node) { all = all && times.seconds.count(node_key(node)) > 0; });
  return all;
}

MeasuredTimes measure_steps(Session& session, const std::string& program,
                            const std::vector<Graph>& graphs, double seconds,
                            const std::function<void()>& prepare) {
  StepSamples samples(session, program, graphs);
  for (int run = 0; run < warmup; ++run) {
    prepare();
    session.run(program);
  }
  session.profile(true);
  double spent = 0;
  for (int run = 0; run < fewest || spent < seconds; ++run) {
    prepare();
    session.run(program);
    spent += samples.take();
  }
  session.profile(false);
  return samples.times();
}

void merge(MeasuredTimes& into, const MeasuredTimes& newer) {
  constexpr double about = 1.05;
  for (const auto& [key, seconds] : newer.seconds)
    into.seconds[key] = seconds;
  for (const auto& [key, seconds] : newer.shares)
    into.shares[key] = seconds;
  for (const auto& [name, shares] : newer.reached) {
    ReachedShares& known = into.reached[name];
    for (const auto& [seconds, share] : shares)
      known.erase(known.lower_bound(seconds / about), known.upper_bound(seconds * about));
    known.insert(shares.begin(), shares.end());
  }
}

std::map<std::string, ReachedShares> reached_shares(const std::vector<Graph>& graphs,
                                                    const MeasuredTimes& times,
                                                    const DeviceProfile& device) {
  std::map<std::string, ReachedShares> reached;
  each_executed(graphs, [&](const Node& node) {
    auto known = times.seconds.find(node_key(node));
    const double at_peaks = peak_seconds(node, device);
    if (known != times.seconds.end() && known->second > 2 * device.launch_seconds && at_peaks > 0)
      reached[main_member(node).op->name][at_peaks] =
          at_peaks / (known->second - device.launch_seconds);
  });
  return reached;
}

double mean_share(const ReachedShares& reached) {
  double at_peaks = 0, measured = 0;
  for (const auto& [seconds, share] : reached)
    at_peaks += seconds, measured += seconds / share;
  return std::clamp(at_peaks / measured, 1e-6, 1.0);
}

} // namespace netc
