// `netc eval NET --data SPEC --weights FILE|RUN` and `netc predict NET IMAGE... --weights ...`.

#include "runtime/atomic_file.h"
#include "runtime/train/trainer.h"
#include "tools/netc/ready_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>
#include <numeric>
#include <sstream>

namespace netc::cli {

namespace {

namespace fs = std::filesystem;

struct Flags : CommonFlags {
  std::string weights;
  std::string split = "validation";
  std::vector<std::string> images;
  int topk = 5;

  void add_weights(CLI::App& app) {
    app.add_option("--weights", weights,
                   "checkpoint file or run folder (default: the latest run of the network)");
  }
};

/// The checkpoint a user means: a file, a run's newest, or the newest of the network's last run.
Checkpoint find_weights(const std::string& weights, const std::string& network) {
  fs::path place = weights;
  if (weights.empty()) {
    auto latest = latest_run("runs", network);
    if (!latest)
      user_error(fmt::format("no weights: `runs/` holds no run of `{}`", network),
                 "train it first (`netc train`), or name a checkpoint with `--weights`");
    place = *latest;
  }
  std::error_code ignored;
  if (!fs::exists(place, ignored))
    user_error(fmt::format("there is no checkpoint and no run folder `{}`", weights));
  if (!fs::is_directory(place, ignored))
    return open_checkpoint(place);
  Diagnostics warnings;
  std::optional<Checkpoint> newest = open_newest_checkpoint(place, warnings);
  std::cerr << warnings.render();
  if (!newest)
    user_error(
        fmt::format("`{}` holds no checkpoint", place.string()),
        "a run writes its first one at the end of an epoch, or as `--checkpoint-every` says");
  return std::move(*newest);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

/// What NET says of itself, before anything is compiled: bad data is then reported at once.
Recipe recipe_of(const CommonFlags& flags) {
  CommonFlags silent = flags; // remarks come when the network is compiled
  silent.quiet = true;
  return is_plan_folder(flags.net) ? read_plan(flags.net).recipe : load(silent).network.recipe;
}

void run_eval(const Flags& flags) {
  const Recipe recipe = recipe_of(flags);
  Checkpoint checkpoint = find_weights(flags.weights, recipe.name);
  std::unique_ptr<Dataset> dataset = open_dataset(flags.data, stored_format(recipe.input));
  check_classes(*dataset, recipe);
  ReadyPlan plan(flags, false);
  std::unique_ptr<Session> session = plan.make_session(flags);
  load_state(*session, checkpoint);
  EvaluateOptions options;
  options.split = flags.split == "train" ? Split::train : Split::validation;
  options.workers = flags.workers;
  options.warn = [](std::string text) { std::cerr << "warning: " << text << "\n"; };
  Evaluation e = evaluate(*session, *dataset, options);
  if (flags.json)
    return print_json({{"images", e.images},
                       {"top1", e.top1},
                       {"top5", e.top5 ? nlohmann::ordered_json(*e.top5) : nullptr},
                       {"loss", e.loss},
                       {"views", 1}});
  fmt::print("{} images: top-1 {:.2f} %{}, loss {:.5f}\n", e.images, 100 * e.top1,
             e.top5 ? fmt::format(", top-5 {:.2f} %", 100 * *e.top5) : "", e.loss);
}

struct Ranked {
  size_t index;
  double probability;
};

std::vector<Ranked> best(std::span<const float> probabilities, size_t count) {
  std::vector<size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return probabilities[a] > probabilities[b]; });
  std::vector<Ranked> list;
  for (size_t i = 0; i < std::min(count, order.size()); ++i)
    list.push_back({order[i], probabilities[order[i]]});
  return list;
}

/// Decodes the pictures to the stored size; all that cannot be read are named together.
std::vector<std::vector<uint8_t>> load_images(const std::vector<std::string>& files,
                                              const StoredFormat& format) {
  std::vector<std::vector<uint8_t>> images;
  Diagnostics diagnostics;
  for (const std::string& file : files) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) {
      diagnostics.error({}, fmt::format("`{}` is not a file", file));
      continue;
    }
    std::string bytes = read_file(file), why;
    auto image = decode_image({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, &why);
    if (!image) {
      diagnostics.error({}, fmt::format("`{}` is no readable JPEG or PNG: {}", file, why));
      continue;
    }
    images.emplace_back(static_cast<size_t>(format.bytes()));
    fit_image(convert_channels(std::move(*image), format.channels), format, images.back().data());
  }
  diagnostics.throw_if_errors();
  return images;
}

void run_predict(const Flags& flags) {
  const Recipe recipe = recipe_of(flags);
  std::vector<std::vector<uint8_t>> images = load_images(flags.images, stored_format(recipe.input));
  Checkpoint checkpoint = find_weights(flags.weights, recipe.name);
  auto names_entry = checkpoint.state.more.find("classes");
  std::vector<std::string> names =
      lines_of(names_entry == checkpoint.state.more.end() ? "" : names_entry->second);
  ReadyPlan plan(flags, false, std::min<int64_t>(static_cast<int64_t>(images.size()), 64));
  std::unique_ptr<Session> session = plan.make_session(flags);
  load_state(*session, checkpoint);
  std::vector<float> probabilities = predict(*session, images);
  size_t classes = probabilities.size() / images.size();
  auto json = nlohmann::ordered_json::array();
  for (size_t i = 0; i < images.size(); ++i) {
    std::span<const float> row(probabilities.data() + i * classes, classes);
    auto list = nlohmann::ordered_json::array();
    std::vector<std::string> shown;
    for (const Ranked& r : best(row, static_cast<size_t>(flags.topk))) {
      std::string name = r.index < names.size() ? names[r.index] : std::to_string(r.index);
      list.push_back({{"index", r.index}, {"name", name}, {"probability", r.probability}});
      shown.push_back(fmt::format("{} {:.1f} %", name, 100 * r.probability));
    }
    json.push_back({{"image", flags.images[i]}, {"classes", list}});
    if (!flags.json)
      fmt::print("{}: {}\n", flags.images[i], fmt::join(shown, ", "));
  }
  if (flags.json)
    print_json(json);
}

} // namespace

void add_eval(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand("eval", "accuracy of a trained network");
  flags->add_net(*sub);
  flags->add_data(*sub, true);
  flags->add_weights(*sub);
  sub->add_option("--split", flags->split, "which part of the data")
      ->check(CLI::IsMember({"validation", "train"}));
  flags->add_compile(*sub);
  flags->add_devices(*sub);
  flags->add_memory_limit(*sub);
  flags->add_output(*sub);
  sub->callback([flags, &command] { command = [flags] { run_eval(*flags); }; });
}

void add_predict(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand("predict", "classes of pictures");
  flags->add_net(*sub);
  sub->add_option("IMAGE", flags->images, "JPEG or PNG files")->required();
  flags->add_weights(*sub);
  sub->add_option("--topk", flags->topk, "classes to name for each picture")
      ->check(CLI::Range(1, 1000));
  flags->add_compile(*sub);
  flags->add_devices(*sub);
  flags->add_memory_limit(*sub);
  flags->add_output(*sub);
  sub->callback([flags, &command] { command = [flags] { run_predict(*flags); }; });
}

} // namespace netc::cli
