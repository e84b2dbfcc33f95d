#pragma once
// What the tests of the driver and of the `netc` command share: small networks, folders, child
// processes.

#include "runtime/session.h"
#include "tests/runtime/child_process.h"
#include "tests/runtime/temporary_folder.h"
#include "tests/support/golden.h"
#include "tools/driver/compile.h"

#include <fcntl.h>

#include <sstream>

namespace netc::test {

namespace fs = std::filesystem;

/// Kernels compiled by all tests; kept between runs.
inline fs::path kernel_cache() {
  return binary_root() / "kernel-cache";
}

/// A network whose kernels compile in seconds and whose step takes microseconds: every kind of
/// state a checkpoint holds, dropout, augmentation, a measured mean and a plateau schedule.
inline std::string tiny_network() {
  return R"(name: tiny
input: {channels: 3, height: 16, width: 16, stored: 18, mean: channel, crop: random, flip: true, scale: 0.015625}
layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: norm1, type: lrn, n: 3, k: 2, alpha: 1e-4, beta: 0.75, alpha_over_n: false}
  - {name: pool1, type: max_pool2d, kernel: 3, stride: 2, rounding: ceil}
  - {name: drop1, type: dropout, rate: 0.25, mode: inverted}
  - {name: fc2, type: linear, features: 10}
  - {name: loss, type: softmax_cross_entropy}
train:
  batch: 16
  epochs: 1
  optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}
  schedule: {type: plateau, factor: 0.5, drops: 9, patience: 1}
)";
}

inline NetworkSource source_of(const std::string& text, const std::string& name = "tiny.yaml") {
  Diagnostics diagnostics;
  std::optional<Network> network = parse_network(text, name, diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  NetworkSource source{{name, text}, std::move(*network)};
  source.network.recipe.classes = class_count(forward_graph(source.network, 1));
  return source;
}

inline CompileOptions test_options(bool exact = false, int threads = 2) {
  CompileOptions options;
  options.cache = kernel_cache();
  options.exact = exact;
  options.threads = threads;
  return options;
}

inline Compiled compile_into(const NetworkSource& source, const CompileOptions& options,
                             const fs::path& folder) {
  std::ostringstream dump;
  return compile_network(source, options, folder, dump);
}

inline NetworkSource bundled(const std::string& name) {
  std::ostringstream messages;
  return load_network(name, messages);
}

/// The files below a folder by relative path, with their bytes.
inline std::map<std::string, std::string> files_below(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), folder).string()] = read_text(entry.path());
  return files;
}

/// Starts `netc` in a folder, its output in `netc.out` and `netc.err` there. It sees no GPU: what
/// it answers is the same on all machines.
inline pid_t start_netc(const std::vector<std::string>& arguments, const fs::path& folder) {
  std::string program = (binary_root() / "bin/netc").string();
  std::vector<char*> argv = {program.data()};
  std::vector<std::string> copy = arguments;
  for (std::string& argument : copy)
    argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string out = (folder / "netc.out").string(), err = (folder / "netc.err").string();
  return start_child([&] {
    if (chdir(folder.c_str()) != 0)
      return 98;
    auto redirect = [](const char* file, int flags, int to) {
      int from = open(file, flags, 0644);
      dup2(from, to);
      close(from);
    };
    redirect("/dev/null", O_RDONLY, 0);
    redirect(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 1);
    redirect(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 2);
    setenv("XDG_CACHE_HOME", binary_root().c_str(), 1);
    setenv("CUDA_VISIBLE_DEVICES", "", 1);
    execv(program.c_str(), argv.data());
    return 97;
  });
}

struct Outcome {
  int code;
  std::string out, err;
};

inline Outcome finish_netc(pid_t child, const fs::path& folder) {
  int code = finish_child(child);
  return {code, read_text(folder / "netc.out"), read_text(folder / "netc.err")};
}

inline Outcome run_netc(const std::vector<std::string>& arguments, const fs::path& folder) {
  return finish_netc(start_netc(arguments, folder), folder);
}

inline std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

} // namespace netc::test
