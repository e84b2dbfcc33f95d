#include "runtime/train/checkpoint.h"

#include "runtime/train/numbers.h"

#include <algorithm>
#include <string_view>
#include <system_error>

namespace netc {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view prefix = "step-";
constexpr std::string_view suffix = ".safetensors";
constexpr size_t least_digits = 8;
constexpr const char* format_name = "netc-checkpoint-1";

/// The step of a file name that checkpoint_name() gives, or nothing.
std::optional<int64_t> step_of(std::string_view name) {
  if (name.size() < prefix.size() + least_digits + suffix.size() || !name.starts_with(prefix) ||
      !name.ends_with(suffix))
    return std::nullopt;
  std::string_view digits = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  std::optional<int64_t> step = parse_int(digits);
  return step && *step >= 0 && name == checkpoint_name(*step) ? step : std::nullopt;
}

std::map<std::string, std::string> to_metadata(const TrainingState& state) {
  std::map<std::string, std::string> metadata = {
      {"format", format_name},
      {"network", state.network},
      {"network_hash", state.network_hash},
      {"schedule", state.schedule},
      {"seed", fmt::format("{}", state.seed)},
      {"step", fmt::format("{}", state.step)},
  };
  for (const auto& [key, text] : state.more)
    NETC_CHECK(metadata.emplace(key, text).second, "`{}` is a key of every checkpoint", key);
  return metadata;
}

[[noreturn]] void no_checkpoint(const SafetensorsFile& file, const std::string& what) {
  user_error(
      fmt::format("`{}` is not a checkpoint of netc: {}", printable(file.path().string()), what),
      "name a `step-*.safetensors` file that `netc train` wrote");
}

TrainingState from_metadata(const SafetensorsFile& file) {
  std::map<std::string, std::string> rest = file.metadata();
  auto take = [&](const char* key) {
    auto node = rest.extract(key);
    if (node.empty())
      no_checkpoint(file, fmt::format("its metadata has no `{}`", key));
    return node.mapped();
  };
  if (std::string format = take("format"); format != format_name)
    no_checkpoint(file, fmt::format("its format is `{}`, this version reads `{}`",
                                    printable(format, 40), format_name));
  TrainingState state;
  state.network = take("network");
  state.network_hash = take("network_hash");
  state.schedule = take("schedule");
  std::optional<uint64_t> seed = parse_unsigned(take("seed"));
  std::optional<int64_t> step = parse_int(take("step"));
  if (!seed || !step || *step < 0)
    no_checkpoint(file, "its step or seed is not a number");
  state.seed = *seed;
  state.step = *step;
  state.more = std::move(rest);
  return state;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator at(folder, code), end; !code && at != end; at.increment(code))
    names.push_back(at->path().filename().string());
  if (code)
    throw_file_error("list", folder, code.value());
  return names;
}

void remove_file(const fs::path& path) {
  std::error_code code;
  fs::remove(path, code); // No error when it is gone already.
  if (code)
    throw_file_error("remove", path, code.value());
}

/// `text` of an exception without `error: ` and without notes.
std::string first_message(const std::exception& error) {
  std::string_view text = error.what();
  text = text.substr(0, text.find('\n'));
  constexpr std::string_view label = "error: ";
  return std::string(text.starts_with(label) ? text.substr(label.size()) : text);
}

/// Opens a checkpoint found by its name, which must tell its step.
Checkpoint open_listed(const CheckpointFile& listed) {
  Checkpoint checkpoint = open_checkpoint(listed.path);
  if (checkpoint.state.step != listed.step)
    no_checkpoint(checkpoint.file, fmt::format("it holds step {}", checkpoint.state.step));
  return checkpoint;
}

} // namespace

std::string checkpoint_name(int64_t step) {
  return fmt::format("{}{:0{}}{}", prefix, step, least_digits, suffix);
}

fs::path save_checkpoint(const fs::path& folder, const TrainingState& state,
                         std::vector<NamedTensor> tensors) {
  NETC_CHECK(state.step >= 0, "checkpoint of step {}", state.step);
  fs::path path = folder / checkpoint_name(state.step);
  write_safetensors(path, std::move(tensors), to_metadata(state));
  return path;
}

Checkpoint open_checkpoint(const fs::path& path) {
  SafetensorsFile file(path);
  TrainingState state = from_metadata(file);
  return {std::move(state), std::move(file)};
}

std::vector<CheckpointFile> list_checkpoints(const fs::path& folder) {
  std::vector<CheckpointFile> found;
  for (const std::string& name : names_in(folder))
    if (std::optional<int64_t> step = step_of(name))
      found.push_back({*step, folder / name});
  std::sort(found.begin(), found.end(),
            [](const CheckpointFile& a, const CheckpointFile& b) { return a.step < b.step; });
  return found;
}

std::optional<Checkpoint> open_newest_checkpoint(const fs::path& folder, Diagnostics& warnings) {
  std::vector<CheckpointFile> found = list_checkpoints(folder);
  auto skip = [&](const CheckpointFile& damaged, const std::exception& why) {
    warnings
        .warning({}, fmt::format("skipped the damaged checkpoint `{}`",
                                 printable(damaged.path.string())))
        .note(first_message(why));
  };
  for (auto at = found.rbegin(); at != found.rend(); ++at) {
    try {
      return open_listed(*at);
    } catch (const UserError& why) {
      skip(*at, why);
    } catch (const RuntimeError& why) {
      skip(*at, why);
    }
  }
  if (!found.empty())
    user_error(fmt::format("no checkpoint in `{}` is usable, {} {} damaged",
                           printable(folder.string()), found.size(),
                           found.size() == 1 ? "is" : "are"),
               "restore one from a copy, or train anew in another run folder");
  return std::nullopt;
}

std::vector<CheckpointFile> prune_checkpoints(const fs::path& folder, int keep) {
  NETC_CHECK(keep >= 1, "asked to keep {} checkpoints", keep);
  for (const std::string& name : names_in(folder)) {
    size_t target = name.find(suffix);
    if (target == name.npos)
      continue;
    std::string_view base = std::string_view(name).substr(0, target + suffix.size());
    if (step_of(base) && is_temporary_of(name, base))
      remove_file(folder / name);
  }
  std::vector<CheckpointFile> found = list_checkpoints(folder);
  size_t excess = found.size() - std::min(found.size(), static_cast<size_t>(keep));
  found.resize(excess);
  for (const CheckpointFile& old : found)
    remove_file(old.path);
  return found;
}

} // namespace netc
