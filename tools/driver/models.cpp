#include "tools/driver/models.h"

#include "ir/support/diagnostics.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace netc {

namespace {

const std::map<std::string, std::string>& models() {
  static const std::map<std::string, std::string> table = {
#include "tools/models.inc"
  };
  return table;
}

} // namespace

std::vector<std::string> bundled_models() {
  std::vector<std::string> names;
  for (const auto& [name, text] : models())
    names.push_back(name);
  return names;
}

NetworkText load_network_text(const std::string& net) {
  std::error_code ignored;
  if (std::filesystem::is_directory(net, ignored))
    user_error(fmt::format("the folder `{}` holds no plan", net),
               "a network is a YAML file; a plan is what `netc compile` writes");
  if (std::ifstream in(net, std::ios::binary); in) {
    std::ostringstream text;
    text << in.rdbuf();
    return {net, text.str()};
  }
  for (const std::string& name : {net, net + ".yaml"})
    if (auto it = models().find(name); it != models().end())
      return {name, it->second};
  std::vector<std::string> known = bundled_models();
  for (const std::string& name : bundled_models())
    known.push_back(std::filesystem::path(name).stem().string());
  user_error(
      fmt::format("no network file and no bundled model `{}`{}", net, did_you_mean(net, known)),
      "`netc models` lists the bundled ones");
}

} // namespace netc
