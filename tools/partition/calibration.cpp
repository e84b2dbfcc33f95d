#include "tools/partition/calibration.h"

#include "codegen/toolchain.h"
#include "frontend/machine.h"
#include "ir/support/files.h"
#include "ir/support/hash.h"
#include "runtime/atomic_file.h"
#include "runtime/devices.h"
#include "tools/driver/backend.h"
#include "tools/partition/step_times.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ctime>
#include <sstream>

namespace netc {

namespace {

using Json = nlohmann::ordered_json;

constexpr int format = 3;

MeasuredTimes times_from(const Json& json) {
  return {json.at("seconds").get<std::map<std::string, double>>(),
          json.at("shares").get<std::map<std::string, double>>(),
          json.at("reached").get<std::map<std::string, ReachedShares>>()};
}

/// Throws what the JSON library does when the text is not what save() writes.
std::optional<Calibration> parse(const std::string& text, const std::string& fingerprint) {
  const Json json = Json::parse(text);
  if (json.at("format") != format || json.at("fingerprint") != fingerprint)
    return std::nullopt;
  Diagnostics diagnostics;
  std::optional<MachineProfile> machine =
      parse_machine(json.at("machine").get<std::string>(), "machine", diagnostics);
  if (!machine)
    return std::nullopt;
  Calibration calibration{fingerprint, json.at("date").get<std::string>(), std::move(*machine)};
  for (const Json& times : json.at("times"))
    calibration.times[times.at("busy").get<int>()] = times_from(times);
  return calibration;
}

std::string device_headers() {
  std::string all;
  for (const auto& [name, text] : device_files())
    all += name + "\n" + text;
  return content_hash(all);
}

} // namespace

std::string fingerprint_of(const CalibrateOptions& options) {
  const std::unique_ptr<Device> first = open_device(options.devices.at(0));
  const Target target = compile_target(*first);
  const Backend backend =
      make_backend(target, options.cache.empty() ? default_cache() : options.cache);
  return fmt::format("processor: {}\ndevices: {} of {}\nthreads of each: {}\nmath: {}\n"
                     "compiler: {}, {}\n"
                     "kernels: {}\n",
                     first->description(), options.devices.size(), target.str(),
                     threads_of(options), options.exact ? "exact" : "fast", backend.version,
                     backend.machine, device_headers());
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  return fmt::format("{:04}-{:02}-{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
}

MeasuredTimes times_for(const Calibration& calibration, int busy) {
  std::vector<int> counts;
  for (const auto& [count, times] : calibration.times)
    counts.push_back(count);
  std::stable_sort(counts.begin(), counts.end(),
                   [&](int a, int b) { return std::abs(a - busy) > std::abs(b - busy); });
  MeasuredTimes times;
  for (int count : counts)
    merge(times, calibration.times.at(count));
  return times;
}

std::filesystem::path calibration_file(const std::string& fingerprint,
                                       const std::filesystem::path& folder) {
  return (folder.empty() ? default_cache() : folder) / "machines" /
         (content_hash(fingerprint) + ".json");
}

std::optional<Calibration> load_calibration(const std::string& fingerprint,
                                            const std::filesystem::path& folder) {
  const std::optional<std::string> text = read_text(calibration_file(fingerprint, folder));
  if (!text)
    return std::nullopt;
  try {
    return parse(*text, fingerprint);
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

void save(const Calibration& calibration, const std::filesystem::path& folder) {
  Json times = Json::array();
  for (const auto& [busy, measured] : calibration.times)
    times.push_back({{"busy", busy},
                     {"seconds", measured.seconds},
                     {"shares", measured.shares},
                     {"reached", measured.reached}});
  const Json json{{"format", format},
                  {"fingerprint", calibration.fingerprint},
                  {"date", calibration.date},
                  {"machine", print(calibration.machine)},
                  {"times", std::move(times)}};
  const std::filesystem::path file = calibration_file(calibration.fingerprint, folder);
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  if (error)
    throw_file_error("create", file.parent_path(), error.value());
  write_file_atomically(file, json.dump(1) + "\n");
}

std::string machine_file(const Calibration& calibration) {
  std::string text =
      fmt::format("# Measured by `netc calibrate` on {}, all devices busy.\n#\n", calibration.date);
  std::istringstream lines(calibration.fingerprint);
  for (std::string line; std::getline(lines, line);)
    text += "# " + line + "\n";
  return text + print(calibration.machine);
}

Calibration this_machine(const CalibrateOptions& options, const std::function<void()>& measuring) {
  const std::string fingerprint = fingerprint_of(options);
  if (std::optional<Calibration> known = load_calibration(fingerprint, options.cache))
    return std::move(*known);
  if (measuring)
    measuring();
  Calibration calibration{fingerprint, today(), calibrate_machine(options).machine, {}};
  save(calibration, options.cache);
  return calibration;
}

} // namespace netc
