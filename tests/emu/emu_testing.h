#pragma once
// Small CUDA texts, compiled for the emulator by each compiler of this machine, and buffers to run
// them on.

#include "codegen/toolchain.h"
#include "runtime/emu/emulator.h"
#include "tests/support/places.h"

#include <gtest/gtest.h>

#include <dlfcn.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace netc {

/// The emulator's toolchain over a compiler, or nullptr where that is not installed.
inline const CpuToolchain* emu_toolchain(const std::string& compiler = {}) {
  static std::map<std::string, std::unique_ptr<CpuToolchain>> known;
  auto [entry, isnew] = known.try_emplace(compiler);
  if (isnew)
    try {
      entry->second = std::make_unique<CpuToolchain>(test::binary_root() / "kernel-cache", compiler,
                                                     HostKernels::emu);
    } catch (const RuntimeError&) {
      return nullptr;
    }
  return entry->second.get();
}

/// What a test makes of a text before it is compiled.
using EditText = std::function<std::string(const std::string&)>;

/// A compiled text.
class EmuText {
public:
  explicit EmuText(const std::string& text, const CpuToolchain& toolchain = *emu_toolchain()) {
    std::vector<CompileJob> jobs{{.name = "test", .source = text}};
    toolchain.compile(jobs, 1);
    library_ = dlopen(jobs[0].binary.c_str(), RTLD_NOW | RTLD_LOCAL);
    NETC_CHECK(library_ != nullptr, "{}", dlerror());
  }
  ~EmuText() { dlclose(library_); }
  EmuText(const EmuText&) = delete;
  EmuText& operator=(const EmuText&) = delete;

  emu::EntryFunction entry(int i) const {
    void* symbol = dlsym(library_, fmt::format("emulate_{}", i).c_str());
    NETC_CHECK(symbol != nullptr, "{}", dlerror());
    return reinterpret_cast<emu::EntryFunction>(symbol);
  }

private:
  void* library_;
};

/// Memory of a buffer with its shadow.
template <class T> struct EmuArray {
  std::vector<T> values;
  EmulatorShadow shadow;

  /// Not initialised, with bits that show where they are used all the same.
  explicit EmuArray(size_t count) : values(count, T(113)), shadow(count * sizeof(T)) {}
  explicit EmuArray(std::vector<T> from)
      : values(std::move(from)), shadow(values.size() * sizeof(T)) {
    shadow.set_initialised();
  }
  EmulatorBuffer buffer(std::string name) {
    return {std::move(name), reinterpret_cast<std::byte*>(values.data()),
            static_cast<int64_t>(values.size() * sizeof(T)), &shadow};
  }
};

/// What the emulator says about a launch; empty when nothing is wrong.
inline std::optional<EmulatorFault> fault_of(Emulator& emulator, const EmulatorLaunch& launch) {
  try {
    emulator.launch(launch);
  } catch (const EmulatorFault& fault) {
    return fault;
  }
  return {};
}

/// Number of the line of `text` that contains `mark`; 0: none.
inline int line_of(const std::string& text, const std::string& mark) {
  const size_t at = text.find(mark);
  const auto lines = std::count(text.begin(), text.begin() + std::min(at, text.size()), '\n');
  return at == text.npos ? 0 : 1 + static_cast<int>(lines);
}

inline const std::string emu_header = "#include \"codegen/device/emu/primitives.h\"\n";

} // namespace netc
