#pragma once
// Which candidate runs which contraction: measured once, written down, obeyed.

#include "codegen/candidates.h"

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace netc {

/// What measuring a candidate gave.
struct Trial {
  std::string function;
  double ms = 0;             ///< Best of several runs.
  double relative_error = 0; ///< Against the reference, relative L2 over sampled outputs.
};

/// The decision for one contraction.
struct TuningEntry {
  std::string chosen;
  std::vector<Trial> trials;
};

/// `tuning.json`: decisions by contraction and machine, sorted, readable.
class TuningTable {
public:
  /// Parses the file's text; malformed text is a UserError naming the file.
  static TuningTable parse(const std::string& text, const std::string& file_name);
  std::string str() const;

  const TuningEntry* find(const std::string& key) const;
  void set(const std::string& key, TuningEntry entry) { entries_[key] = std::move(entry); }
  bool empty() const { return entries_.empty(); }

private:
  std::map<std::string, TuningEntry> entries_;
};

/// The contraction with all that its speed depends on: `linear_forward 64x9216->4096 | avx512f, 2
/// threads`, `conv2d_forward ... | sm_90a, bf16, rounded operands, bf16 result`. `machine`: the
/// instruction set of the binaries, or the emulated target.
std::string tuning_key(const ContractionUse& use, const LoweringOptions& options,
                       const std::string& machine);

/// A candidate that errs more is out: sums of up to 10,000 products of random numbers, rounded as
/// the precision does, stay below it.
double largest_tuning_error(Precision precision);

/// Runs candidates of a contraction on random data and compares sampled outputs; injected by the
/// driver, which knows compilers and devices. Libraries that are not on the device's machine, or
/// refuse the shape, are left out.
using MeasureCandidates =
    std::function<std::vector<Trial>(const ContractionUse&, const std::vector<std::string>& names)>;

/// Chooses candidates: from the table; else by measuring the most promising and all libraries, if
/// there is a hook (the table learns); else by the default rule. What the table chooses but is no
/// candidate, as in another version, is measured anew or a UserError. Contractions with one
/// candidate are never measured.
class Tuner {
public:
  struct Options {
    std::string machine;       ///< As for tuning_key().
    LoweringOptions lowering;  ///< Its `choose` is not asked.
    bool frozen = false;       ///< What is not a candidate from the table is a UserError.
    MeasureCandidates measure; ///< Null: do not measure.
  };
  Tuner(TuningTable table, Options options)
      : table_(std::move(table)), options_(std::move(options)) {}

  /// Name of the candidate for a contraction; empty: the default. As ChooseCandidate.
  std::string choose(const ContractionUse& use);
  const TuningTable& table() const { return table_; }

private:
  TuningEntry measure(const ContractionUse& use, const std::vector<std::string>& names) const;
  TuningTable table_;
  Options options_;
};

/// Whether memory holds images or features that a contraction node reads rounded.
bool is_rounded(const Node& contraction);

/// The shape a contraction has for its templates.
ContractionShape contraction_shape(const ContractionUse& use, bool exact);

/// One element of a contraction's result in double precision, by its flat row-major index in the
/// kernel's own layout (images NHWC). `a` and `b` are the operands in theirs.
double contraction_element(const Node& contraction, const float* a, const float* b, int64_t index);

} // namespace netc
