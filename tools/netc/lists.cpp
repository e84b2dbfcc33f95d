// Commands that only tell: `ops`, `passes`, `models`, `schema`.

#include "frontend/schema.h"
#include "tools/netc/command.h"

#include <algorithm>
#include <iostream>

namespace netc::cli {

namespace {

void list_models() {
  std::vector<std::vector<std::string>> rows = {
      {"model", "layers", "parameters", "multiply-adds per image"}};
  for (const std::string& name : bundled_models()) {
    NetworkSource source = load_network(name, std::cerr);
    int64_t parameters = 0, macs = 0;
    for (const LayerRow& layer : layer_table(source.network, 1))
      parameters += layer.parameters, macs += layer.macs_per_image;
    rows.push_back(
        {name, std::to_string(source.network.layers.size()), grouped(parameters), grouped(macs)});
  }
  fmt::print("{}", text_table(rows));
}

void list_passes() {
  size_t longest = 0;
  for (const Pass& pass : pipeline())
    longest = std::max(longest, pass.name.size());
  for (const Pass& pass : pipeline())
    fmt::print("{:<{}}  {}{}\n", pass.name, longest, pass.doc,
               pass.required ? "" : " (may be skipped)");
}

} // namespace

void add_lists(CLI::App& app, std::function<void()>& command) {
  auto add = [&](const char* name, const char* doc, void (*run)()) {
    app.add_subcommand(name, doc)->callback([run, &command] { command = run; });
  };
  add("ops", "reference of the operators (Markdown)",
      [] { fmt::print("{}", operator_reference()); });
  add("passes", "the pass pipeline, in order", list_passes);
  add("models", "the bundled networks", list_models);
  CLI::App* schema = app.add_subcommand("schema", "JSON schema of network files, for editors");
  const CLI::Option* strategy = schema->add_flag("--strategy")->description("of strategy files");
  schema->callback([strategy, &command] {
    command = [strategy] { fmt::print("{}\n", *strategy ? strategy_schema() : json_schema()); };
  });
}

} // namespace netc::cli
