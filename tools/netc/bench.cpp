// `netc bench NET`: time of a step on random images, by layer.

#include "ir/support/median.h"
#include "runtime/session.h"
#include "runtime/train/feeds.h"
#include "tools/driver/peak.h"
#include "tools/driver/random_batch.h"
#include "tools/netc/ready_plan.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>

namespace netc::cli {

namespace {

struct Flags : CommonFlags {
  std::string mode = "train";
  int steps = 10;
};

struct Measured {
  std::vector<double> step_ms;              ///< Sorted.
  std::vector<std::vector<StepTime>> steps; ///< By device: seconds of one step of each launch.
};

/// Times of steps that follow each other as in training: where the device works by itself, each is
/// prepared while the device is at the one before.
std::vector<double> measure_steps(Session& session, const std::string& program, int warmup,
                                  int steps, const std::function<void()>& prepare) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> ms;
  int finished = 0;
  Clock::time_point last = Clock::now();
  auto finish = [&] {
    session.finish(program);
    Clock::time_point now = Clock::now();
    if (finished++ >= warmup)
      ms.push_back(std::chrono::duration<double>(now - last).count() * 1e3);
    last = now;
  };
  for (int i = 0; i < warmup + steps; ++i) {
    session.profile(session.device().host_visible() && i >= warmup); // costs nothing there
    prepare();
    session.start(program);
    if (session.full(program))
      finish();
  }
  while (session.running(program) > 0)
    finish();
  return ms;
}

Measured measure(Session& session, const Flags& flags, const std::string& program) {
  Batch batch = random_batch(session.plan(), flags.seed);
  int next = 0;
  std::set<const void*> filled;
  auto prepare = [&] { // the images stay in each slot: copying them anew would be what is measured
    if (filled.insert(session.feed(program, "images").data()).second)
      fill_batch(session, program, batch);
    fill_numbers(session, program, {flags.seed, next++, 1e-6});
  };
  Measured m;
  int profiled = flags.steps;
  const int warmup = session.device().host_visible() ? 2 : 20; // a GPU's clock rises from idle
  m.step_ms = measure_steps(session, program, warmup, flags.steps, prepare);
  if (!session.device().host_visible()) { // kernels are not timed within a graph
    profiled = std::min(flags.steps, 20);
    session.profile(true);
    for (int i = 0; i < profiled; ++i) {
      prepare();
      session.run(program);
    }
  }
  std::sort(m.step_ms.begin(), m.step_ms.end());
  for (int i = 0; i < session.device_count(); ++i) {
    const std::span<const StepTime> times = session.times(program, i);
    m.steps.emplace_back(times.begin(), times.end());
    for (StepTime& step : m.steps.back())
      step.seconds /= profiled;
  }
  return m;
}

/// Rows of what each device did, and how long.
std::string kernel_table(Session& session, const Measured& m, double median_ms) {
  const bool several = m.steps.size() > 1;
  std::vector<std::vector<std::string>> rows = {{"kernel", "ms", "%"}};
  for (size_t device = 0; device < m.steps.size(); ++device) {
    if (several)
      rows.push_back({fmt::format("on {} (device {})",
                                  session.device(static_cast<int>(device)).name(), device),
                      "", ""});
    for (const StepTime& step : m.steps[device])
      rows.push_back({(several ? "  " : "") + step.label, fmt::format("{:.2f}", step.seconds * 1e3),
                      fmt::format("{:.1f}", step.seconds * 1e5 / median_ms)});
  }
  return text_table(rows);
}

nlohmann::ordered_json layers_json(const Measured& m) {
  auto layers = nlohmann::ordered_json::array();
  for (size_t device = 0; device < m.steps.size(); ++device)
    for (const StepTime& step : m.steps[device])
      layers.push_back({{"name", step.label}, {"ms", step.seconds * 1e3}, {"device", device}});
  return layers;
}

void run(const Flags& flags) {
  bool train = flags.mode == "train";
  ReadyPlan ready(flags, train);
  std::unique_ptr<Session> opened = ready.make_session(flags);
  Session& session = *opened;
  const Plan& plan = session.plan();
  session.initialize(flags.seed);
  std::string program = train ? "train" : "eval";
  bool cpu = session.device().target().kind == Target::Kind::cpu;
  const int threads = plan.threads * plan.devices;
  double peak = cpu ? fma_peak_gflops(threads) : 0;
  Measured m = measure(session, flags, program);
  const double median_ms = median(m.step_ms);
  double images_per_second = static_cast<double>(plan.batch) / median_ms * 1e3;
  if (flags.json)
    return print_json({{"batch", plan.batch},
                       {"mode", flags.mode},
                       {"step_ms_median", median_ms},
                       {"step_ms_min", m.step_ms.front()},
                       {"step_ms_max", m.step_ms.back()},
                       {"images_per_second", images_per_second},
                       {"layers", layers_json(m)},
                       {"device_peak_gflops", cpu ? nlohmann::ordered_json(peak) : nullptr},
                       {"devices", device_names(session)},
                       {"strategy", strategy_of(plan)}});
  fmt::print("{}", kernel_table(session, m, median_ms));
  std::string used = cpu ? fmt::format(", {} threads", threads) : "";
  std::string ceiling = cpu ? fmt::format("; peak of this machine {:.0f} GFLOP/s", peak) : "";
  fmt::print("batch {}{}: {:.2f} ms a step (median of {}; {:.2f} to {:.2f}), {:.1f} images/s{}\n",
             plan.batch, used, median_ms, m.step_ms.size(), m.step_ms.front(), m.step_ms.back(),
             images_per_second, ceiling);
}

} // namespace

void add_bench(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand("bench", "time of a step on random images, by kernel");
  flags->add_net(*sub);
  flags->add_compile(*sub);
  flags->add_devices(*sub);
  flags->add_memory_limit(*sub);
  flags->add_output(*sub);
  sub->add_option("--mode", flags->mode, "train or infer")
      ->check(CLI::IsMember({"train", "infer"}));
  sub->add_option("--steps", flags->steps, "measured steps")->check(CLI::Range(1, 100000));
  sub->add_option("--seed", flags->seed, "of the random images");
  sub->callback([flags, &command] { command = [flags] { run(*flags); }; });
}

} // namespace netc::cli
