#include "frontend/network.h"

#include "frontend/readers.h"

namespace netc {

using namespace frontend;

std::optional<Network> parse_network(const std::string& text, const std::string& file_name,
                                     Diagnostics& diagnostics) {
  Network network;
  auto read = [&](Section& section) {
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
  };
  const Document document{text, file_name, "the network",
                          "a network description has the keys `name`, `input` and `layers`"};
  if (!read_document(document, diagnostics, read))
    return std::nullopt;
  return network;
}

} // namespace netc
