#include "tools/netc/command.h"

#include "runtime/byte_text.h"

#include <fmt/ranges.h>

#include <iostream>
#include <sstream>

namespace netc::cli {

void CommonFlags::add_net(CLI::App& app) {
  app.add_option(
         "NET", net,
         "network file, name of a bundled model, or (train, eval, predict, bench) plan folder")
      ->required();
}

void CommonFlags::add_data(CLI::App& app, bool required) {
  CLI::Option* option =
      app.add_option("--data", data,
                     "images: imagefolder:DIR, imagelist:FILE.tsv[,DIR], cifar10:DIR, mnist:DIR, "
                     "shapes[:DIR]");
  option->required(required);
  app.add_option("--workers", workers, "threads that decode images (default: one per core)")
      ->check(CLI::Range(0, 256));
}

void CommonFlags::add_compile(CLI::App& app) {
  app.add_option("--batch", batch, "images in a step (default: the network's)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  app.add_option("--threads", threads, "threads that compute (default: all cores)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--math", math,
                 "fast, or exact: the same bits on any number of threads and devices")
      ->check(CLI::IsMember({"fast", "exact"}));
  app.add_option("--precision", precision,
                 "of contractions: fp32, 3xtf32, tf32 or bf16 (default: tf32 on GPUs and emu, fp32 "
                 "on the CPU)")
      ->check(CLI::IsMember({"fp32", "3xtf32", "tf32", "bf16"}));
  app.add_option("--cache", cache, "folder of compiled kernels");
}

void CommonFlags::add_devices(CLI::App& app) {
  CLI::Option* one = app.add_option(
      "--device", device,
      "cpu:0, emu:0 or cuda:N (default: the plan's, else cuda:0 where there is one, else "
      "cpu:0)");
  app.add_option("--devices", devices, "several, that share each step: cpu:0,cpu:1")->excludes(one);
  app.add_option("--partition", partition,
                 "strategy by which several devices share a step: a name or a file (default: the "
                 "network's, else data)");
}

void CommonFlags::add_logical_device(CLI::App& app) {
  app.add_option("--logical-device", logical_device,
                 "of several devices, the one whose graph is shown: 0 is the first")
      ->check(CLI::NonNegativeNumber);
}

void CommonFlags::add_memory_limit(CLI::App& app) {
  app.add_option("--memory-limit", memory_limit, "memory of each device to use at most, e.g. 6GB")
      ->check(CLI::Validator(
          [](std::string& text) -> std::string {
            return parse_bytes(text) ? ""
                                     : fmt::format("{} is no amount such as 6GB or 512MB", text);
          },
          "SIZE"));
}

void CommonFlags::add_output(CLI::App& app) {
  app.add_flag("--json", json, "print one JSON object");
  app.add_flag("--quiet", quiet, "no progress and no remarks");
}

CompileOptions CommonFlags::compile_options() const {
  CompileOptions options;
  options.batch = batch;
  options.threads = threads;
  options.exact = math == "exact";
  options.cache = cache;
  options.remarks = !quiet;
  if (!precision.empty())
    options.precision = parse_precision(precision);
  return options;
}

int CommonFlags::logical_device_of(const std::optional<Strategy>& strategy) const {
  const int devices = strategy ? strategy->devices : 1;
  if (logical_device >= devices)
    user_error(fmt::format("there is no logical device {} among {}", logical_device, devices),
               devices > 1 ? fmt::format("they are 0 to {}", devices - 1)
                           : "`--devices` names several, as in `--devices cpu:0,cpu:1`");
  return logical_device;
}

CLI::Validator positive() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        double value = 0;
        bool number = CLI::detail::lexical_cast(text, value);
        return number && value > 0 ? "" : fmt::format("{} is no positive number", text);
      },
      "POSITIVE");
}

void print_json(const nlohmann::ordered_json& json) {
  // Names of folders need not be UTF-8; JSON must be.
  std::cout << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
}

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string megabytes(int64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

void check_classes(const Dataset& dataset, const Recipe& recipe) {
  if (dataset.classes() > recipe.classes)
    user_error(fmt::format("the data has {} classes, the network `{}` tells {} apart",
                           dataset.classes(), recipe.name, recipe.classes),
               "change `features` of its last layer, or use other data");
}

NetworkSource load(const CommonFlags& flags) {
  std::ostringstream messages;
  NetworkSource source = load_network(flags.net, messages);
  if (!flags.quiet)
    std::cerr << messages.str();
  return source;
}

TemporaryPlan::TemporaryPlan(const NetworkSource& source, const CompileOptions& options)
    : folder_("netc-plan"), compiled_(compile_network(source, options, folder_.path(), std::cerr)) {
}

} // namespace netc::cli
