#include "passes/partition/bound.h"

#include <algorithm>
#include <limits>

namespace netc::partition {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

SearchProblem priced(SearchProblem problem, double price) {
  problem.memory_limit = 0;
  for (SearchLayer& layer : problem.layers)
    for (Choice& choice : layer.choices)
      choice.seconds += price * static_cast<double>(choice.bytes);
  return problem;
}

/// About the lowest price at which the cheapest assignment keeps the limit.
double lowest_price(const SearchProblem& problem, double seconds) {
  constexpr int doublings = 60, halvings = 10;
  auto keeps = [&](double price) {
    return best(priced(problem, price)).bytes <= problem.memory_limit;
  };
  if (keeps(0))
    return 0;
  double low = 0, high = seconds / static_cast<double>(problem.memory_limit);
  for (int i = 0; i < doublings && !keeps(high); ++i)
    low = high, high *= 2;
  for (int i = 0; i < halvings; ++i) {
    const double middle = (low + high) / 2;
    (keeps(middle) ? high : low) = middle;
  }
  return high;
}

/// A cost that k assignments within the limit do not exceed; infinity when so many are not found.
double upper_bound(const SearchProblem& problem, const SearchProblem& relaxed, int k) {
  std::vector<double> seconds;
  for (const SearchResult& result : k_best(relaxed, 2 * k))
    if (result.bytes <= problem.memory_limit)
      seconds.push_back(evaluate(problem, result.choices));
  if (seconds.size() < static_cast<size_t>(k))
    return infinity;
  std::sort(seconds.begin(), seconds.end());
  return seconds[static_cast<size_t>(k) - 1];
}

} // namespace

Bound no_bound(const SearchProblem& problem) {
  Bound bound{0, infinity, {}};
  for (const SearchLayer& layer : problem.layers)
    bound.forced.emplace_back(layer.choices.size(), 0.0);
  return bound;
}

Bound bound_of(const SearchProblem& problem, int k) {
  constexpr double rounding = 1e-9;
  Bound found = no_bound(problem);
  const SearchResult free = best(priced(problem, 0));
  if (!free.feasible())
    return found;
  found.price = lowest_price(problem, free.seconds);
  SearchProblem relaxed = priced(problem, found.price);
  found.most =
      (upper_bound(problem, relaxed, k) + found.price * static_cast<double>(problem.memory_limit)) *
      (1 + rounding);
  if (found.most == infinity)
    return found;
  for (size_t layer = 0; layer < problem.layers.size(); ++layer) {
    const std::vector<SearchResult> results = explain(relaxed, static_cast<int>(layer));
    for (size_t i = 0; i < results.size(); ++i) {
      found.forced[layer][i] = results[i].seconds;
      if (results[i].seconds > found.most) // what follows need not try it
        relaxed.layers[layer].choices[i].seconds = infinity;
    }
  }
  return found;
}

} // namespace netc::partition
