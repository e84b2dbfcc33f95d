#include "passes/partition/stages.h"

#include <algorithm>
#include <limits>

namespace netc {

namespace {

constexpr int64_t impossible = std::numeric_limits<int64_t>::max();

/// Chains cut so that no stage has more than a given work.
class ChainCutter {
public:
  ChainCutter(const std::vector<StageLayer>& layers, size_t stages)
      : layers_(layers), stages_(stages), least_(layers.size() >= stages ? 1 : 0), sums_{0} {
    for (const StageLayer& layer : layers)
      sums_.push_back(sums_.back() + layer.work);
  }

  /// What any stage may have.
  std::vector<int64_t> works() const {
    std::vector<int64_t> works;
    for (size_t i = 0; i < sums_.size(); ++i)
      for (size_t j = i; j < sums_.size(); ++j)
        works.push_back(work(i, j));
    std::sort(works.begin(), works.end());
    return works;
  }

  /// How many layers precede the end of each stage, with the fewest bytes moved; empty where some
  /// stage would have more work than `most`.
  std::vector<size_t> ends(int64_t most) const {
    const size_t count = layers_.size();
    std::vector<std::vector<int64_t>> bytes(stages_ + 1,
                                            std::vector<int64_t>(count + 1, impossible));
    std::vector<std::vector<size_t>> from(stages_ + 1, std::vector<size_t>(count + 1, 0));
    bytes[0][0] = 0;
    for (size_t s = 1; s <= stages_; ++s)
      for (size_t end = 0; end <= count; ++end)
        for (size_t begin = 0; begin + least_ <= end; ++begin) {
          if (bytes[s - 1][begin] == impossible || work(begin, end) > most)
            continue;
          const int64_t moved = bytes[s - 1][begin] + (begin > 0 ? layers_[begin - 1].bytes : 0);
          if (moved < bytes[s][end])
            bytes[s][end] = moved, from[s][end] = begin;
        }
    std::vector<size_t> ends;
    if (bytes[stages_][count] == impossible)
      return ends;
    for (size_t s = stages_, end = count; s > 0; end = from[s--][end])
      ends.insert(ends.begin(), end);
    return ends;
  }

private:
  int64_t work(size_t begin, size_t end) const { return sums_[end] - sums_[begin]; }

  const std::vector<StageLayer>& layers_;
  const size_t stages_, least_; ///< `least_`: layers of a stage.
  std::vector<int64_t> sums_;   ///< Work of the layers before.
};

} // namespace

std::vector<int> balanced_stages(const std::vector<StageLayer>& layers, int stages) {
  const ChainCutter cutter(layers, static_cast<size_t>(stages));
  const std::vector<int64_t> works = cutter.works();
  const int64_t least = *std::partition_point(
      works.begin(), works.end(), [&](int64_t most) { return cutter.ends(most).empty(); });
  std::vector<int> stage_of;
  int stage = 0;
  for (size_t end : cutter.ends(least)) {
    stage_of.resize(end, stage);
    ++stage;
  }
  return stage_of;
}

} // namespace netc
