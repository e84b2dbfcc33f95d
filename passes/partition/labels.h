#pragma once
// Partial assignments of a search, and which of them can still become one of the k best.

#include <cstdint>
#include <utility>
#include <vector>

namespace netc::partition {

/// Choices for some layers, with what they cost together.
struct Label {
  double seconds = 0;
  int64_t bytes = 0;
  int rank = 0;                 ///< Labels of its list that beat it.
  std::vector<int16_t> choices; ///< By layer; -1 where none is made yet.
};
/// Labels that choose for the same layers, ascending by seconds, then by choices.
using Labels = std::vector<Label>;

/// Keeps what can become one of the k best, and drops the rest: a label that k others beat, being
/// no dearer and no larger, is never needed, since whatever completes it completes them as well.
class Selection {
public:
  /// Drops labels of more than `most_bytes`, too.
  Selection(int k, int64_t most_bytes) : k_(k), most_bytes_(most_bytes) {}

  /// Each label of `a` with each of `b`, which choose for other layers.
  Labels combine(const Labels& a, const Labels& b) const;
  /// The same, over several pairs of lists.
  Labels combine(const std::vector<std::pair<const Labels*, const Labels*>>& pairs) const;
  /// Labels of several lists.
  Labels unite(const std::vector<const Labels*>& lists) const;

private:
  int k_;
  int64_t most_bytes_;
};

} // namespace netc::partition
