#pragma once
// Mutation of kernels: what has to catch a mistake in CUDA text is tested by planting some.

#include "tests/emu/emu_testing.h"

#include <set>
#include <sstream>

namespace netc {

/// A mistake: `wrong` instead of `right`, in generated text or in a device header it includes.
/// Planted in every kernel of a subject that has the place; none has it twice.
struct Mutation {
  const char* name;
  const char* right;
  const char* wrong;
};

/// What mistakes are planted in.
struct Subject {
  std::string name;
  double tolerance; ///< The error that the right text may have.
  /// Compiles and runs the kernels as the argument changed them. Returns the relative error;
  /// throws EmulatorFault, or InternalError for an output that was not wholly written.
  std::function<double(const EditText&)> run;
};

/// Whether a header may be put in the place of its include: those of device/cuda but for the
/// choice between hardware and emulator.
inline bool is_inlined(const std::string& header) {
  return header == "ir/support/philox.h" || (header.starts_with("codegen/device/cuda/") &&
                                             header != "codegen/device/cuda/primitives.h");
}

/// `text` with the headers in place that it includes, each once. `seen`: those that are.
inline std::string with_headers(const std::string& text, std::set<std::string>& seen) {
  std::istringstream lines(text);
  std::string all;
  for (std::string line; std::getline(lines, line);) {
    const std::string include = "#include \"";
    const std::string header =
        line.starts_with(include)
            ? line.substr(include.size(), line.find('"', include.size()) - include.size())
            : std::string();
    if (line == "#pragma once")
      continue;
    if (!is_inlined(header))
      all += line + "\n";
    else if (seen.insert(header).second)
      all += with_headers(device_files().at(header), seen);
  }
  return all;
}

/// Plants a mistake in one text after the other.
class Planter {
public:
  explicit Planter(const Mutation& mutation) : right_(mutation.right), wrong_(mutation.wrong) {}

  std::string operator()(const std::string& text) {
    std::set<std::string> seen;
    std::string changed = text.find(right_) != text.npos ? text : with_headers(text, seen);
    const size_t at = changed.find(right_);
    if (at == changed.npos)
      return text;
    EXPECT_EQ(changed.find(right_, at + 1), changed.npos) << "it is there twice:\n" << text;
    ++planted_;
    return changed.replace(at, right_.size(), wrong_);
  }
  int planted() const { return planted_; }

private:
  std::string right_, wrong_;
  int planted_ = 0;
};

/// Plants mistakes, prints how each of them was caught, and at the end how many.
class Mutants : public testing::Test {
protected:
  static void TearDownTestSuite() {
    fmt::print("{} of {} caught: {} by the emulator, {} by comparison\n",
               by_emulator_ + by_comparison_, planted_, by_emulator_, by_comparison_);
  }

  /// The right text must pass, every mistake must be caught.
  void expect_caught(const Subject& subject, const std::vector<Mutation>& mutations) {
    SCOPED_TRACE(subject.name);
    EXPECT_LT(subject.run(std::identity{}), subject.tolerance);
    for (const Mutation& mutation : mutations) {
      SCOPED_TRACE(mutation.name);
      Planter planter(mutation);
      ++planted_;
      const std::string how = caught(subject, planter);
      EXPECT_GT(planter.planted(), 0) << "stale, nowhere is there\n" << mutation.right;
      EXPECT_FALSE(how.empty()) << "not caught";
      fmt::print("{}, {}: {}\n", subject.name, mutation.name, how);
    }
  }

private:
  /// How a mistake was caught; empty: not at all.
  static std::string caught(const Subject& subject, Planter& planter) {
    try {
      const double error = subject.run(std::ref(planter));
      if (error < subject.tolerance)
        return {};
      ++by_comparison_;
      return fmt::format("relative error {:.2g}", error);
    } catch (const EmulatorFault& fault) {
      ++by_emulator_;
      return fault.what();
    } catch (const InternalError& error) { // an output that was not wholly written
      const std::string text = error.what();
      if (!text.starts_with("no step of"))
        throw;
      ++by_emulator_;
      return text;
    }
  }

  static inline int planted_ = 0, by_emulator_ = 0, by_comparison_ = 0;
};

} // namespace netc
