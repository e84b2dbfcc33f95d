#include "frontend/network.h"

#include "frontend/readers.h"

namespace netc {

using namespace frontend;

std::optional<Network> parse_network(const std::string& text, const std::string& file_name,
                                     Diagnostics& diagnostics) {
  const int errors_before = diagnostics.error_count();
  auto file = std::make_shared<const SourceFile>(SourceFile{file_name, text});
  YamlPtr root = parse_yaml(file, diagnostics);
  if (!root)
    return std::nullopt;
  Network network;
  Section section(*root, "the network", diagnostics);
  if (const YamlNode* name = section.require("name", "of the network, for example `alexnet`"))
    network.recipe.name =
        ValueReader(diagnostics).name(*name, section.what("name")).value_or(std::string{});
  if (const YamlNode* input = section.require(
          "input", "size of the images, for example {channels: 3, height: 227, width: 227}")) {
    network.input_loc = input->loc;
    network.recipe.input = read_input(*input, diagnostics);
  }
  if (const YamlNode* layers = section.require("layers", "the list of layers"))
    network.layers = read_layers(*layers, diagnostics);
  if (const YamlNode* train = section.take("train"))
    network.recipe.train = read_train(*train, network.rule_locs, diagnostics);
  if (const YamlNode* partition = section.take("partition"))
    network.partition = read_partition(*partition, diagnostics);
  section.finish();
  if (too_many(diagnostics))
    diagnostics.error({file}, "too many errors, others are not shown");
  if (diagnostics.error_count() > errors_before)
    return std::nullopt;
  return network;
}

} // namespace netc
