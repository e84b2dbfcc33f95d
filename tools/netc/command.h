#pragma once
// What the commands of `netc` share: flags that mean the same everywhere, and output.

#include "runtime/data/dataset.h"
#include "tools/driver/compile.h"
#include "tools/driver/temporary_directory.h"
#include "tools/driver/text_table.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <string>

namespace netc::cli {

/// Flags of all commands that compile. Each command registers those it has.
struct CommonFlags {
  std::string net;
  std::string data;
  int64_t batch = 0;
  int threads = 0;
  int workers = 0;
  uint64_t seed = 1;
  std::string math = "fast";
  std::string precision;
  std::string device, devices; ///< Both empty: see choose_devices().
  std::string partition;       ///< Empty: see choose_strategy().
  int logical_device = 0;
  std::string memory_limit;
  std::string cache;
  bool json = false;
  bool quiet = false;

  void add_net(CLI::App& app);
  void add_data(CLI::App& app, bool required);
  void add_compile(CLI::App& app); ///< batch, threads, math, precision, cache.
  void add_devices(CLI::App& app); ///< device, devices, partition.
  void add_logical_device(CLI::App& app);
  void add_memory_limit(CLI::App& app);
  void add_output(CLI::App& app); ///< json, quiet.

  CompileOptions compile_options() const;
  /// The device whose graph is shown, of those that the strategy is for; UserError if it is none.
  int logical_device_of(const std::optional<Strategy>& strategy) const;
};

/// Adds a command to `app`; `run` is what it does once its flags are read.
using Register = void (*)(CLI::App& app, std::function<void()>& run);
void add_compile(CLI::App& app, std::function<void()>& run);
void add_train(CLI::App& app, std::function<void()>& run);
void add_eval(CLI::App& app, std::function<void()>& run);
void add_predict(CLI::App& app, std::function<void()>& run);
void add_viz(CLI::App& app, std::function<void()>& run);
void add_bench(CLI::App& app, std::function<void()>& run);
void add_calibrate(CLI::App& app, std::function<void()>& run);
void add_data(CLI::App& app, std::function<void()>& run);
void add_partition(CLI::App& app, std::function<void()>& run);
void add_lists(CLI::App& app, std::function<void()>& run);  ///< ops, passes, models, schema.
void add_doctor(CLI::App& app, std::function<void()>& run); ///< devices, doctor.

/// Checks a flag's value: a number above zero.
CLI::Validator positive();

/// Prints one JSON object on stdout.
void print_json(const nlohmann::ordered_json& json);

/// `60,965,224`.
std::string grouped(int64_t number);
/// `243.9 MB`.
std::string megabytes(int64_t bytes);

/// UserError unless the labels of the data fit the network's outputs.
void check_classes(const Dataset& dataset, const Recipe& recipe);

/// Loads a network, with warnings on stderr unless quiet.
NetworkSource load(const CommonFlags& flags);

/// A short-lived plan of a network in a temporary folder, for eval, predict and bench.
class TemporaryPlan {
public:
  TemporaryPlan(const NetworkSource& source, const CompileOptions& options);
  const Compiled& compiled() const { return compiled_; }

private:
  TemporaryDirectory folder_; ///< Goes when compiling fails, too.
  Compiled compiled_;
};

} // namespace netc::cli
