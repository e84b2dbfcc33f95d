// `netc bench NET`: time of a step on random images, by layer.

#include "ir/support/philox.h"
#include "runtime/session.h"
#include "runtime/train/feeds.h"
#include "tools/driver/peak.h"
#include "tools/netc/ready_plan.h"

#include <algorithm>
#include <chrono>

namespace netc::cli {

namespace {

struct Flags : CommonFlags {
  std::string mode = "train";
  int steps = 10;
  int warmup = 2;
};

/// Random images with labels in range: the same work as real ones.
Batch random_batch(const Plan& plan, uint64_t seed) {
  const InputSpec& input = plan.recipe.input;
  size_t count = static_cast<size_t>(plan.batch);
  Batch batch;
  batch.images.resize(
      count * static_cast<size_t>(input.channels * input.stored_height * input.stored_width));
  for (size_t i = 0; i < batch.images.size(); i += 4) {
    Philox4 words = philox4x32_10(static_cast<unsigned>(seed), stream_synthetic,
                                  static_cast<unsigned>(i), 0, 0, 0);
    for (size_t k = 0; k < 4 && i + k < batch.images.size(); ++k)
      batch.images[i + k] = static_cast<uint8_t>(words.word[k]);
  }
  for (size_t i = 0; i < count; ++i) {
    batch.labels.push_back(
        static_cast<int32_t>(static_cast<int64_t>(i) % std::max<int64_t>(plan.recipe.classes, 1)));
    batch.sample_ids.push_back(static_cast<int32_t>(i));
    batch.epochs.push_back(0);
  }
  batch.valid = plan.batch;
  return batch;
}

struct Measured {
  std::vector<double> step_ms; ///< Sorted.
  std::vector<StepTime> steps; ///< Seconds of one step of each launch.
};

Measured measure(Session& session, const Flags& flags, const std::string& program) {
  using Clock = std::chrono::steady_clock;
  Batch batch = random_batch(session.plan(), flags.seed);
  Measured m;
  for (int i = -flags.warmup; i < flags.steps; ++i) {
    session.profile(i >= 0);
    Clock::time_point start = Clock::now();
    fill_feeds(session, program, batch, {flags.seed, i + flags.warmup, 1e-6});
    session.run(program);
    if (i >= 0)
      m.step_ms.push_back(std::chrono::duration<double>(Clock::now() - start).count() * 1e3);
  }
  std::sort(m.step_ms.begin(), m.step_ms.end());
  m.steps = session.times(program);
  for (StepTime& step : m.steps)
    step.seconds /= flags.steps;
  return m;
}

void run(const Flags& flags) {
  bool train = flags.mode == "train";
  ReadyPlan plan(flags, train);
  Session session(plan.plan(), plan.folder(), {.threads = flags.threads});
  session.initialize(flags.seed);
  std::string program = train ? "train" : "eval";
  double peak = fma_peak_gflops(session.plan().threads);
  Measured m = measure(session, flags, program);
  double median = m.step_ms[m.step_ms.size() / 2];
  double images_per_second = static_cast<double>(session.plan().batch) / median * 1e3;
  if (flags.json) {
    nlohmann::ordered_json layers = nlohmann::ordered_json::array();
    for (const StepTime& step : m.steps)
      layers.push_back({{"name", step.label}, {"ms", step.seconds * 1e3}});
    return print_json({{"batch", session.plan().batch},
                       {"mode", flags.mode},
                       {"step_ms_median", median},
                       {"step_ms_min", m.step_ms.front()},
                       {"step_ms_max", m.step_ms.back()},
                       {"images_per_second", images_per_second},
                       {"layers", layers},
                       {"device_peak_gflops", peak}});
  }
  std::vector<std::vector<std::string>> rows = {{"kernel", "ms", "%"}};
  for (const StepTime& step : m.steps)
    rows.push_back({step.label, fmt::format("{:.2f}", step.seconds * 1e3),
                    fmt::format("{:.1f}", step.seconds * 1e5 / median)});
  fmt::print("{}", text_table(rows));
  fmt::print("batch {}, {} threads: {:.1f} ms a step (median of {}; {:.1f} to {:.1f}), {:.1f} "
             "images/s; peak of this machine {:.0f} GFLOP/s\n",
             session.plan().batch, session.plan().threads, median, m.step_ms.size(),
             m.step_ms.front(), m.step_ms.back(), images_per_second, peak);
}

} // namespace

void add_bench(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand("bench", "time of a step on random images, by kernel");
  flags->add_net(*sub);
  flags->add_compile(*sub);
  flags->add_output(*sub);
  sub->add_option("--mode", flags->mode, "train or infer")
      ->check(CLI::IsMember({"train", "infer"}));
  sub->add_option("--steps", flags->steps, "measured steps")->check(CLI::Range(1, 100000));
  sub->add_option("--seed", flags->seed, "of the random images");
  sub->callback([flags, &command] { command = [flags] { run(*flags); }; });
}

} // namespace netc::cli
