#pragma once
// The cheapest choice for every layer of a network whose costs add up: exact, with a memory limit.
//
// Nothing here knows what a layer or a choice is. A layer that may leave its result in several
// layouts, partial sums among them, has a choice for each.

#include <cstdint>
#include <string>
#include <vector>

namespace netc {

/// One way to run a layer.
struct Choice {
  std::string name;
  double seconds = 0; ///< At least 0; infinity: illegal.
  int64_t bytes = 0;  ///< What it holds on the fullest device, at least 0.
};

struct SearchLayer {
  std::string name;
  std::vector<Choice> choices; ///< At least one.
};

/// What the choices of two layers cost together: bringing a result into the layout its reader
/// wants.
struct SearchEdge {
  int from = 0;                             ///< Index of a layer.
  int to = 0;                               ///< Of another one.
  std::vector<std::vector<double>> seconds; ///< [choice of from][choice of to], alike.
};

/// The cost of an assignment, one choice a layer, is the sum over layers and edges. Several edges
/// may join the same two layers.
struct SearchProblem {
  std::vector<SearchLayer> layers; ///< At least one.
  std::vector<SearchEdge> edges;
  int64_t memory_limit = 0; ///< Of the sum of bytes; 0: none.
};

struct SearchResult {
  std::vector<int> choices; ///< By layer; empty when there is no such assignment.
  double seconds = 0;       ///< As evaluate() has it; infinity when there is no such assignment.
  int64_t bytes = 0;        ///< Sum over layers.
  bool feasible() const { return !choices.empty(); }
  bool operator==(const SearchResult&) const = default;
};

/// The cost of an assignment, added up in the order of the problem; infinity when it is illegal.
double evaluate(const SearchProblem& problem, const std::vector<int>& choices);
int64_t bytes_of(const SearchProblem& problem, const std::vector<int>& choices);
/// What the smallest legal choice holds; 0 when none is legal.
int64_t least_bytes(const SearchLayer& layer);

/// The cheapest assignment within the limit; of equally cheap ones the one whose first layers have
/// the lowest choices. When there is none, `bytes` is the least that a legal assignment needs, or
/// -1 where none is legal.
SearchResult best(const SearchProblem& problem);
/// The `k` cheapest, fewer when there are not so many, ascending, all different; equally cheap ones
/// as best() prefers them. Costs that differ by rounding alone may be in any order.
std::vector<SearchResult> k_best(const SearchProblem& problem, int k);
/// What forcing each choice of `layer` costs: best() of the problem that has this choice alone.
std::vector<SearchResult> explain(const SearchProblem& problem, int layer);

/// All assignments, tried one by one.
struct BruteForce {
  std::vector<SearchResult> best; ///< As k_best has them.
  int64_t legal = 0;              ///< Assignments of finite cost, within the limit or not.
};
BruteForce brute_force(const SearchProblem& problem, int k);

// For comparison: these find good assignments, the best ones only by luck. All keep the limit, and
// may find no assignment where there is one; `bytes` is -1 then.

/// Layer by layer the choice that adds least, which must leave room for the others.
SearchResult greedy(const SearchProblem& problem);
/// The best of `tries` assignments drawn at random.
SearchResult random_search(const SearchProblem& problem, int tries, uint64_t seed);
/// Simulated annealing, `tries` proposals of another choice for one layer, begun where greedy()
/// ends (as FlexFlow searches, arXiv 1807.05358).
SearchResult anneal(const SearchProblem& problem, int tries, uint64_t seed);

} // namespace netc
