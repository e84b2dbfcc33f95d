// `netc data shapes DIR` and `netc data info|stats SPEC`.

#include "frontend/network.h"
#include "runtime/data/stats.h"
#include "tools/netc/command.h"

#include <fmt/ranges.h>

namespace netc::cli {

namespace {

struct Flags {
  std::string directory, spec;
  int64_t train = 5000, validation = 1000;
  int size = 32;
  uint64_t seed = 1;
  int channels = 3;
  bool json = false;
};

void write(const Flags& flags) {
  write_shapes(flags.directory, flags.train, flags.validation, flags.size, flags.seed);
  fmt::print("wrote {} training and {} validation images of {}x{} pixels to {}/\n", flags.train,
             flags.validation, flags.size, flags.size, flags.directory);
}

StoredFormat format_of(const Flags& flags) {
  StoredFormat format;
  format.channels = flags.channels;
  format.height = format.width = flags.size;
  return format;
}

void info(const Flags& flags, bool with_means) {
  std::unique_ptr<Dataset> dataset = open_dataset(flags.spec, format_of(flags));
  nlohmann::ordered_json json;
  json["train_images"] = dataset->size(Split::train);
  json["validation_images"] = dataset->size(Split::validation);
  json["classes"] = dataset->class_names();
  json["notes"] = dataset->notes();
  std::vector<double> means;
  if (with_means)
    json["channel_means"] = means = channel_means(*dataset);
  if (flags.json)
    return print_json(json);
  fmt::print("{} training and {} validation images in {} classes: {}\n",
             dataset->size(Split::train), dataset->size(Split::validation), dataset->classes(),
             fmt::join(dataset->class_names(), ", "));
  for (const std::string& note : dataset->notes())
    fmt::print("note: {}\n", note);
  if (with_means)
    fmt::print("channel means of the training images at {}x{}: {:.3f}\n", flags.size, flags.size,
               fmt::join(means, ", "));
}

void add_spec(CLI::App& sub, Flags& flags) {
  std::string kinds;
  for (const DatasetKindInfo& kind : dataset_kinds())
    kinds += (kinds.empty() ? "" : ", ") + std::string(kind.usage);
  sub.add_option("SPEC", flags.spec, kinds)->required();
  sub.add_option("--size", flags.size, "stored size in pixels")->check(CLI::Range(1, 4096));
  sub.add_option("--channels", flags.channels, "1 or 3")->check(CLI::IsMember({1, 3}));
  sub.add_flag("--json", flags.json, "print one JSON object");
}

} // namespace

void add_data(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* data = app.add_subcommand("data", "datasets: make, look at, measure");
  data->require_subcommand(1);
  CLI::App* shapes = data->add_subcommand("shapes", "write a small labelled JPEG dataset");
  shapes->add_option("DIR", flags->directory, "folder to make")->required();
  shapes->add_option("--train", flags->train, "training images")->check(positive());
  shapes->add_option("--validation", flags->validation, "validation images")->check(positive());
  shapes->add_option("--size", flags->size, "pixels")->check(CLI::Range(16, 1024));
  shapes->add_option("--seed", flags->seed, "of the drawings");
  shapes->callback([flags, &command] { command = [flags] { write(*flags); }; });
  CLI::App* info_command = data->add_subcommand("info", "what a dataset holds");
  add_spec(*info_command, *flags);
  info_command->callback([flags, &command] { command = [flags] { info(*flags, false); }; });
  CLI::App* stats = data->add_subcommand("stats", "the same with the mean of each channel");
  add_spec(*stats, *flags);
  stats->callback([flags, &command] { command = [flags] { info(*flags, true); }; });
}

} // namespace netc::cli
