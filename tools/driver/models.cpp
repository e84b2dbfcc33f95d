#include "tools/driver/models.h"

#include "frontend/machine.h"
#include "ir/support/diagnostics.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

namespace netc {

namespace {

const std::map<std::string, std::string>& models() {
  static const std::map<std::string, std::string> table = {
#include "tools/models.inc"
  };
  return table;
}

const std::map<std::string, std::string>& machines() {
  static const std::map<std::string, std::string> table = {
#include "tools/machines.inc"
  };
  return table;
}

/// The bytes of a file, or nothing when it cannot be read.
std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
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
  if (auto text = read_file(net))
    return {net, *text};
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

std::vector<std::string> bundled_machines() {
  std::vector<std::string> names;
  for (const auto& [file, text] : machines())
    names.push_back(std::filesystem::path(file).stem().string());
  return names;
}

MachineProfile load_machine(const std::string& machine) {
  auto bundled = machines().find(machine.ends_with(".yaml") ? machine : machine + ".yaml");
  std::error_code ignored;
  std::optional<std::string> text;
  if (!std::filesystem::is_directory(machine, ignored))
    text = read_file(machine);
  if (!text && bundled != machines().end())
    text = bundled->second;
  if (!text)
    user_error(fmt::format("no file and no bundled machine `{}`{}", machine,
                           did_you_mean(machine, bundled_machines())),
               fmt::format("the bundled ones are {}", fmt::join(bundled_machines(), ", ")));
  Diagnostics diagnostics;
  std::optional<MachineProfile> profile = parse_machine(*text, machine, diagnostics);
  diagnostics.throw_if_errors();
  return *profile;
}

} // namespace netc
