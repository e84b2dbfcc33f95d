#include "passes/partition/labels.h"

#include <algorithm>
#include <cmath>

namespace netc::partition {

namespace {

/// A label that may be made: of one, or of two put together.
struct Candidate {
  double seconds;
  int64_t bytes;
  const Label* a;
  const Label* b;
  int rank = 0;

  int16_t choice(size_t layer) const { return std::max(a->choices[layer], b->choices[layer]); }
};

bool comes_first(const Candidate& x, const Candidate& y) {
  if (x.seconds != y.seconds)
    return x.seconds < y.seconds;
  for (size_t layer = 0; layer < x.a->choices.size(); ++layer)
    if (x.choice(layer) != y.choice(layer))
      return x.choice(layer) < y.choice(layer);
  return false;
}

Labels select(std::vector<Candidate>& candidates, int k) {
  std::sort(candidates.begin(), candidates.end(), comes_first);
  std::vector<int64_t> smallest; // Bytes of the k smallest so far, ascending.
  Labels kept;
  for (Candidate& candidate : candidates) {
    auto place = std::upper_bound(smallest.begin(), smallest.end(), candidate.bytes);
    const auto rank = static_cast<int>(place - smallest.begin());
    if (rank == k)
      continue;
    smallest.insert(place, candidate.bytes);
    smallest.resize(std::min(smallest.size(), static_cast<size_t>(k)));
    Label label{candidate.seconds, candidate.bytes, rank, candidate.a->choices};
    for (size_t layer = 0; layer < label.choices.size(); ++layer)
      label.choices[layer] = candidate.choice(layer);
    kept.push_back(std::move(label));
  }
  return kept;
}

} // namespace

Labels Selection::combine(const std::vector<std::pair<const Labels*, const Labels*>>& pairs) const {
  std::vector<Candidate> candidates;
  for (const auto& [left, right] : pairs)
    for (const Label& a : *left)
      for (const Label& b : *right) {
        // What beats a and b, and they themselves, make so many pairs that are as good.
        if (static_cast<int64_t>(a.rank + 1) * (b.rank + 1) > k_)
          continue;
        Candidate candidate{a.seconds + b.seconds, a.bytes + b.bytes, &a, &b};
        if (std::isinf(candidate.seconds) || candidate.bytes > most_bytes_)
          continue;
        candidates.push_back(candidate);
      }
  return select(candidates, k_);
}

Labels Selection::combine(const Labels& a, const Labels& b) const {
  return combine({{&a, &b}});
}

Labels Selection::unite(const std::vector<const Labels*>& lists) const {
  std::vector<Candidate> candidates;
  for (const Labels* list : lists)
    for (const Label& label : *list)
      candidates.push_back({label.seconds, label.bytes, &label, &label});
  return select(candidates, k_);
}

} // namespace netc::partition
