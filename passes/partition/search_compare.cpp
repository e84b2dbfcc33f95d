// What the exact search is measured against: trying everything, and the usual heuristics.

#include "passes/partition/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace netc {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Edges that end at each layer and begin at one before it, or the other way round.
std::vector<std::vector<const SearchEdge*>> edges_back(const SearchProblem& problem) {
  std::vector<std::vector<const SearchEdge*>> list(problem.layers.size());
  for (const SearchEdge& edge : problem.edges)
    list[static_cast<size_t>(std::max(edge.from, edge.to))].push_back(&edge);
  return list;
}

double edge_seconds(const SearchEdge& edge, const std::vector<int>& choices) {
  return edge.seconds[static_cast<size_t>(choices[static_cast<size_t>(edge.from)])]
                     [static_cast<size_t>(choices[static_cast<size_t>(edge.to)])];
}

/// What layer `choices.size() - 1` adds to the layers before it.
double added_seconds(const SearchProblem& problem, const std::vector<const SearchEdge*>& back,
                     const std::vector<int>& choices) {
  const size_t layer = choices.size() - 1;
  double seconds = problem.layers[layer].choices[static_cast<size_t>(choices[layer])].seconds;
  for (const SearchEdge* edge : back)
    seconds += edge_seconds(*edge, choices);
  return seconds;
}

/// Whether `a` comes before `b`: cheaper, or the lower choices.
bool before(const SearchResult& a, const SearchResult& b) {
  return a.seconds != b.seconds ? a.seconds < b.seconds : a.choices < b.choices;
}

class Enumeration {
public:
  Enumeration(const SearchProblem& problem, int k)
      : problem_(problem), k_(static_cast<size_t>(k)), back_(edges_back(problem)) {}

  void extend() {
    const size_t layer = choices_.size();
    if (layer == problem_.layers.size())
      return record();
    for (size_t i = 0; i < problem_.layers[layer].choices.size(); ++i) {
      choices_.push_back(static_cast<int>(i));
      if (added_seconds(problem_, back_[layer], choices_) < infinity)
        extend();
      choices_.pop_back();
    }
  }

  BruteForce found;

private:
  void record() {
    ++found.legal;
    SearchResult result{choices_, evaluate(problem_, choices_), bytes_of(problem_, choices_)};
    if (problem_.memory_limit && result.bytes > problem_.memory_limit)
      return;
    auto place = std::upper_bound(found.best.begin(), found.best.end(), result, before);
    found.best.insert(place, std::move(result));
    found.best.resize(std::min(found.best.size(), k_));
  }

  const SearchProblem& problem_;
  size_t k_;
  std::vector<std::vector<const SearchEdge*>> back_;
  std::vector<int> choices_;
};

/// Draws below a bound, the same on every machine.
class Dice {
public:
  explicit Dice(uint64_t seed) : generator_(seed) {}
  int below(size_t bound) { return static_cast<int>(generator_() % bound); }
  /// In [0, 1).
  double fraction() { return static_cast<double>(generator_() >> 11) * 0x1p-53; }

private:
  std::mt19937_64 generator_;
};

/// The cost of an assignment; infinity when it is illegal or too large.
double cost(const SearchProblem& problem, const std::vector<int>& choices) {
  const bool fits = !problem.memory_limit || bytes_of(problem, choices) <= problem.memory_limit;
  return fits ? evaluate(problem, choices) : infinity;
}

SearchResult result_of(const SearchProblem& problem, const std::vector<int>& choices) {
  const double seconds = choices.empty() ? infinity : cost(problem, choices);
  if (seconds < infinity)
    return {choices, seconds, bytes_of(problem, choices)};
  return {{}, infinity, -1};
}

std::vector<int> any_choices(const SearchProblem& problem, Dice& dice) {
  std::vector<int> choices;
  for (const SearchLayer& layer : problem.layers)
    choices.push_back(dice.below(layer.choices.size()));
  return choices;
}

} // namespace

BruteForce brute_force(const SearchProblem& problem, int k) {
  Enumeration all(problem, k);
  all.extend();
  return std::move(all.found);
}

SearchResult greedy(const SearchProblem& problem) {
  int64_t others = 0; // Bytes that the layers still to come need at least.
  for (const SearchLayer& layer : problem.layers)
    others += least_bytes(layer);
  const auto back = edges_back(problem);
  std::vector<int> choices;
  int64_t bytes = 0;
  for (const SearchLayer& layer : problem.layers) {
    others -= least_bytes(layer);
    double least = infinity;
    int chosen = -1;
    choices.push_back(0);
    for (size_t i = 0; i < layer.choices.size(); ++i) {
      choices.back() = static_cast<int>(i);
      const double seconds = added_seconds(problem, back[choices.size() - 1], choices);
      const int64_t needed = bytes + layer.choices[i].bytes + others;
      if (seconds < least && (!problem.memory_limit || needed <= problem.memory_limit))
        least = seconds, chosen = static_cast<int>(i);
    }
    if (chosen < 0)
      return result_of(problem, {});
    choices.back() = chosen;
    bytes += layer.choices[static_cast<size_t>(chosen)].bytes;
  }
  return result_of(problem, choices);
}

SearchResult random_search(const SearchProblem& problem, int tries, uint64_t seed) {
  Dice dice(seed);
  std::vector<int> found;
  double least = infinity;
  for (int i = 0; i < tries; ++i) {
    std::vector<int> choices = any_choices(problem, dice);
    if (double seconds = cost(problem, choices); seconds < least) {
      least = seconds;
      found = std::move(choices);
    }
  }
  return result_of(problem, found);
}

SearchResult anneal(const SearchProblem& problem, int tries, uint64_t seed) {
  // From accepting a tenth of the cost at the beginning down to next to nothing.
  constexpr double hot = 0.1, cold = 1e-5;
  Dice dice(seed);
  std::vector<int> choices = greedy(problem).choices;
  if (choices.empty())
    choices = any_choices(problem, dice);
  double seconds = cost(problem, choices), least = seconds;
  std::vector<int> found = choices;
  for (int i = 0; i < tries && !problem.layers.empty(); ++i) {
    const auto layer = static_cast<size_t>(dice.below(problem.layers.size()));
    const int previous = choices[layer];
    choices[layer] = dice.below(problem.layers[layer].choices.size());
    const double proposed = cost(problem, choices);
    const double heat = hot * std::pow(cold / hot, static_cast<double>(i) / tries) * least;
    if (proposed > seconds && !(dice.fraction() < std::exp((seconds - proposed) / heat))) {
      choices[layer] = previous;
      continue;
    }
    seconds = proposed;
    if (seconds < least) {
      least = seconds;
      found = choices;
    }
  }
  return result_of(problem, found);
}

} // namespace netc
