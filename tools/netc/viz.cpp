// `netc viz NET`: a picture of the graph, before, after or between passes.

#include "tools/netc/devices.h"
#include "tools/viz/dot.h"
#include "tools/viz/render.h"

#include <iostream>

namespace netc::cli {

namespace {

struct Flags : CommonFlags {
  std::string output, format, after;
  std::string mode = "infer";
  bool show_parameters = false;
};

std::string format_of(const Flags& flags) {
  if (!flags.format.empty())
    return flags.format;
  std::string extension = std::filesystem::path(flags.output).extension().string();
  if (extension.empty())
    return "svg";
  return extension.substr(1);
}

/// The graph at the stage the user asks for: `none` is the description as it is, which knows of no
/// devices.
Graph graph_at(const Flags& flags, const Network& network, std::string& stage) {
  CompileOptions options = flags.compile_options();
  const size_t devices = std::max<size_t>(1, named_devices(flags).size());
  options.strategy = choose_strategy(flags, network, static_cast<int>(devices), flags.batch);
  const int device = flags.logical_device_of(options.strategy);
  Mode mode = flags.mode == "train" ? Mode::train : Mode::infer;
  const bool passed = mode == Mode::train || devices > 1;
  std::string after = flags.after.empty() ? (passed ? "all" : "none") : flags.after;
  stage = after == "none" ? "as described" : after == "all" ? "after all passes" : "after " + after;
  if (after == "none")
    return forward_graph(network, batch_of(network, options.batch));
  if (devices > 1)
    stage += fmt::format(", device {} of {}, cut by {}", device, devices, options.strategy->name);
  options.pipeline.stop_after = after == "all" ? "" : after;
  return run_passes(network, mode, options, lowering_options(options), std::cerr, device).graph;
}

void run(const Flags& flags) {
  NetworkSource source = load(flags);
  std::string format = format_of(flags);
  std::filesystem::path out =
      flags.output.empty() ? source.network.recipe.name + "." + format : flags.output;
  VizOptions options;
  options.show_parameters = flags.show_parameters;
  Graph graph = graph_at(flags, source.network, options.stage);
  render_dot(to_dot(graph, options), format, out);
  fmt::print("wrote {}\n", out.string());
}

} // namespace

void add_viz(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand("viz", "draw the graph");
  flags->add_net(*sub);
  flags->add_compile(*sub);
  flags->add_devices(*sub);
  flags->add_logical_device(*sub);
  sub->add_option("-o,--output", flags->output, "file (default: NAME.svg)");
  sub->add_option("--format", flags->format, "svg, png or dot (default: the file's ending)")
      ->check(CLI::IsMember({"svg", "png", "dot"}));
  sub->add_option("--mode", flags->mode, "train draws the whole training step")
      ->check(CLI::IsMember({"train", "infer"}));
  sub->add_option("--after", flags->after,
                  "pass after which the graph is drawn: none, a pass, or all (default: none, with "
                  "--mode train or several devices all)");
  sub->add_flag("--show-parameters", flags->show_parameters, "draw parameters as nodes");
  sub->add_flag("--quiet", flags->quiet, "no remarks");
  sub->callback([flags, &command] { command = [flags] { run(*flags); }; });
}

} // namespace netc::cli
