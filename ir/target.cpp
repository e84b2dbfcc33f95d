#include "ir/target.h"

#include "ir/support/diagnostics.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace netc {

namespace {

/// The digits of `sm_90a` or `compute_90`; 0 when the text is neither.
int capability_of(std::string_view arch) {
  for (std::string_view prefix : {"sm_", "compute_"}) {
    if (arch.substr(0, prefix.size()) != prefix)
      continue;
    std::string_view digits = arch.substr(prefix.size());
    if (digits.size() > 2 && (digits.back() == 'a' || digits.back() == 'f'))
      digits.remove_suffix(1);
    int number = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return error == std::errc{} && end == digits.data() + digits.size() ? number : 0;
  }
  return 0;
}

/// What the emulator stands for where it is not said.
constexpr std::string_view emulated = "sm_90a";
/// GPUs that it may stand for: those whose shared memory is known, see Target::shared_bytes().
constexpr std::array emulated_archs = {"sm_75",  "sm_80",  "sm_86",  "sm_87",  "sm_88",
                                       "sm_89",  "sm_90",  "sm_90a", "sm_100", "sm_101",
                                       "sm_103", "sm_110", "sm_120", "sm_121"};

constexpr std::array precisions = {"fp32", "3xtf32", "tf32", "bf16"};

} // namespace

std::string Target::str() const {
  switch (kind) {
  case Kind::cpu:
    return "cpu";
  case Kind::emu:
    return arch == emulated ? "emu" : "emu:" + arch;
  case Kind::cuda:
    break;
  }
  return "cuda:" + arch;
}

int Target::capability() const {
  return kind == Kind::cpu ? 0 : capability_of(arch);
}

bool Target::has_warpgroups() const {
  return arch == "sm_90a";
}

bool Target::is_ptx() const {
  return arch.starts_with("compute_");
}

int Target::shared_bytes() const {
  constexpr int least = 99 << 10; // Of all from sm_80 on: of sm_86, 88, 89, 120 and 121.
  switch (capability()) {
  case 0:
    return 0;
  case 75:
    return 64 << 10;
  case 80:
  case 87:
    return is_ptx() ? least : 163 << 10;
  case 90:
  case 100:
  case 101:
  case 103:
  case 110:
    return is_ptx() ? least : 227 << 10;
  default:
    return least;
  }
}

Target parse_target(std::string_view text) {
  if (text == "cpu")
    return {};
  if (text == "emu")
    return {Target::Kind::emu, std::string(emulated)};
  const size_t colon = std::min(text.find(':'), text.size());
  const std::string_view kind = text.substr(0, colon);
  const std::string arch(text.substr(std::min(colon + 1, text.size())));
  if (kind == "cuda" && capability_of(arch) >= 75)
    return {Target::Kind::cuda, arch};
  if (kind == "emu" &&
      std::find(emulated_archs.begin(), emulated_archs.end(), arch) != emulated_archs.end())
    return {Target::Kind::emu, arch};
  user_error(fmt::format("there is no target `{}`", text),
             "a target is `cpu`, `emu`, or `cuda:ARCH` with ARCH sm_75, sm_80, sm_90, sm_90a, "
             "sm_100, sm_120 ... or compute_90 for PTX; `emu:ARCH` has what `cuda:ARCH` runs on "
             "the emulator, where ARCH is a GPU's (`emu:0` is a device: `--device emu:0`)");
}

std::string_view to_string(Precision precision) {
  return precisions[static_cast<size_t>(precision)];
}

Precision parse_precision(std::string_view text) {
  for (size_t i = 0; i < precisions.size(); ++i)
    if (text == precisions[i])
      return static_cast<Precision>(i);
  user_error(fmt::format("there is no precision `{}`", text),
             "a precision is `fp32`, `3xtf32`, `tf32` or `bf16`");
}

Precision default_precision(const Target& target) {
  return supports(target, Precision::tf32) ? Precision::tf32 : Precision::fp32;
}

bool supports(const Target& target, Precision precision) {
  return precision == Precision::fp32 || target.capability() >= 80;
}

} // namespace netc
