// Exchanges: their kinds, their steps on random shardings, and what they send.

#include "ir/exchange.h"
#include "tests/support/draw.h"
#include "tests/support/parts.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace netc::test {
namespace {

Sharding partial_sums(Sharding sharding) {
  sharding.combine = Combine::sum;
  return sharding;
}

Exchange exchange(const Shape& shape, Sharding from, Sharding to) {
  return {"t", {DType::f32, shape}, std::move(from), std::move(to)};
}

TEST(Exchanges, HaveKinds) {
  const Shape shape = {8, 6};
  const Sharding all = replicated(shape, 4), first = on_device(shape, 4, 0);
  const Sharding second = on_device(shape, 4, 1);
  const Sharding rows = cut_along(shape, 0, {0, 2, 4, 6, 8});
  const Sharding columns = cut_along(shape, 1, {0, 2, 4, 5, 6});
  Sharding wider = rows;
  for (Box& box : wider.boxes)
    box[0] = {std::max<int64_t>(box[0].begin - 1, 0), std::min<int64_t>(box[0].end + 1, 8)};
  Sharding two = all;
  two.boxes[0] = two.boxes[3] = {};
  const std::tuple<const char*, Sharding, Sharding> rows_of_table[] = {
      {"all-reduce", partial_sums(all), all},
      {"all-reduce", partial_sums(all), wider},
      {"all-reduce", partial_sums(all), two},
      {"reduce-scatter", partial_sums(all), rows},
      {"reduce", partial_sums(all), second},
      {"all-gather", rows, all},
      {"all-gather", rows, two},
      {"all-to-all", rows, columns},
      {"halo", rows, wider},
      {"gather", columns, first},
      {"scatter", first, rows},
      {"scatter", two, rows},
      {"broadcast", first, all},
      {"broadcast", second, two},
      {"send", first, second},
      {"send", two, first},
      {"send", partial_sums(first), second},
      {"broadcast", partial_sums(first), all},
  };
  for (const auto& [name, from, to] : rows_of_table)
    EXPECT_EQ(to_string(exchange(shape, from, to).kind()), name)
        << print(from) << "  ->  " << print(to);
}

int64_t below(Random& random, int64_t n) {
  return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
}

std::vector<int64_t> random_bounds(Random& random, int64_t extent, int devices) {
  std::vector<int64_t> bounds = {0, extent};
  while (static_cast<int>(bounds.size()) < devices + 1)
    bounds.push_back(below(random, extent + 1));
  std::sort(bounds.begin(), bounds.end());
  return bounds;
}

int random_dim(Random& random, const Shape& shape) {
  return static_cast<int>(below(random, static_cast<int64_t>(shape.size())));
}

/// A sharding that holds every element: whole, cut along one dimension, or over a grid.
Sharding covering(Random& random, const Shape& shape, int devices) {
  const int64_t choice = below(random, 5);
  if (choice == 0)
    return on_device(shape, devices, static_cast<int>(below(random, devices)));
  if (choice == 1)
    return replicated(shape, devices);
  const int dim = random_dim(random, shape);
  const size_t d = static_cast<size_t>(dim);
  if (choice == 2 || devices % 2)
    return cut_along(shape, dim, random_bounds(random, shape[d], devices));
  // Pairs of devices hold the same part, or halves of it.
  Sharding sharding = cut_along(shape, dim, random_bounds(random, shape[d], devices / 2));
  const int other = random_dim(random, shape);
  Sharding halves = choice == 3 ? replicated(shape, 2)
                                : cut_along(shape, other, even_bounds(shape[size_t(other)], 2));
  Sharding grid;
  for (const Box& box : sharding.boxes)
    for (const Box& half : halves.boxes)
      grid.boxes.push_back(intersect(box, half));
  return grid;
}

/// Any boxes at all, some of them empty.
Sharding any_boxes(Random& random, const Shape& shape, int devices) {
  Sharding sharding{std::vector<Box>(static_cast<size_t>(devices)), Combine::none};
  for (Box& box : sharding.boxes) {
    for (int64_t extent : shape) {
      std::vector<int64_t> bounds = random_bounds(random, extent, 3);
      box.push_back({bounds[1], bounds[2]});
    }
    if (is_empty(box))
      box = {};
  }
  return sharding;
}

Exchange random_exchange(Random& random) {
  Shape shape;
  for (int64_t rank = 1 + below(random, 3); rank > 0; --rank)
    shape.push_back(1 + below(random, 9));
  if (below(random, 8) == 0)
    shape[0] *= 1000; // enough for chunks
  const int devices = static_cast<int>(1 + below(random, 8));
  Exchange e = exchange(shape, covering(random, shape, devices),
                        below(random, 2) ? covering(random, shape, devices)
                                         : any_boxes(random, shape, devices));
  if (below(random, 2))
    e.from.combine = below(random, 2) ? Combine::sum : Combine::max;
  return e;
}

/// What devices hold before, drawn; holders of the same elements agree unless they are partial.
std::vector<RefTensor> draw_sources(Random& random, const Exchange& e) {
  RefTensor whole = draw(e.type, integers(-1000, 1000), random);
  std::vector<RefTensor> sources;
  for (const Box& box : e.from.boxes) {
    if (e.from.partial())
      whole = draw(e.type, integers(-1000, 1000), random);
    sources.push_back(is_empty(box) ? RefTensor{} : crop(whole, box));
  }
  return sources;
}

/// The whole tensor by the meaning of its sharding.
RefTensor meaning(const Exchange& e, const std::vector<RefTensor>& sources) {
  Assembly whole(e.type);
  for (size_t d = 0; d < sources.size(); ++d)
    whole.add(e.from.boxes[d], sources[d], e.from.combine);
  EXPECT_EQ(whole.missing() + whole.differing(), 0);
  return whole.whole();
}

/// What each device has once it has combined its elements of all that hold them.
std::vector<RefTensor> combine(const Exchange& e, const ExchangeSteps& steps,
                               const std::vector<RefTensor>& sources) {
  std::vector<RefTensor> combined;
  for (const Box& box : steps.combined) {
    Assembly sum(e.type);
    for (size_t from = 0; from < sources.size(); ++from) {
      const Box have = intersect(e.from.boxes[from], box);
      if (!is_empty(have))
        sum.add(have, crop(sources[from], e.from.boxes[from], have), e.from.combine);
    }
    EXPECT_EQ(sum.missing(), e.type.elements() - elements(box));
    combined.push_back(is_empty(box) ? RefTensor{} : crop(sum.whole(), box));
  }
  return combined;
}

TEST(Exchanges, BringEveryWantedElementOnce) {
  Random random(20130101);
  int chunked = 0;
  for (int repeat = 0; repeat < 4000; ++repeat) {
    const Exchange e = random_exchange(random);
    SCOPED_TRACE(print(e.from) + "  ->  " + print(e.to));
    const std::vector<RefTensor> sources = draw_sources(random, e);
    const RefTensor want = meaning(e, sources);
    const ExchangeSteps steps = steps_of(e);
    const bool partial = e.from.partial();
    const std::vector<RefTensor> combined = combine(e, steps, sources);
    for (size_t d = 0; d < sources.size(); ++d) {
      int64_t arrived = elements(steps.combined[d]);
      ASSERT_TRUE(partial || arrived == 0);
      Assembly got(e.type);
      got.add(steps.combined[d], combined[d], Combine::none);
      for (const Move& move : steps.moves) {
        if (move.to != static_cast<int>(d))
          continue;
        const size_t from = static_cast<size_t>(move.from);
        const Box& has = partial ? steps.combined[from] : e.from.boxes[from];
        ASSERT_FALSE(is_empty(move.box));
        ASSERT_TRUE(contains(has, move.box)) << "device " << from << " lacks " << to_text(move.box);
        got.add(move.box, crop(partial ? combined[from] : sources[from], has, move.box),
                Combine::none);
        arrived += elements(move.box);
      }
      chunked += partial && arrived > elements(steps.combined[d]);
      ASSERT_EQ(arrived, elements(e.to.boxes[d])) << "device " << d;
      ASSERT_EQ(got.missing(), e.type.elements() - arrived) << "device " << d;
      ASSERT_EQ(crop(got.whole(), e.to.boxes[d]).data, crop(want, e.to.boxes[d]).data)
          << "device " << d;
    }
    if (HasFatalFailure())
      return;
  }
  EXPECT_GT(chunked, 20);
}

TEST(Exchanges, TakeWhatTheyHaveAndThenOfTheNearest) {
  const Shape shape = {8};
  const Sharding pairs{{{{0, 4}}, {{4, 8}}, {{0, 4}}, {{4, 8}}}, Combine::none};
  const std::vector<Move> moves = steps_of(exchange(shape, pairs, replicated(shape, 4))).moves;
  for (const Move& move : moves)
    EXPECT_LE(std::abs(move.from - move.to), 1) << move.from << " to " << move.to;
  EXPECT_EQ(moves.size(), 8u);
}

TEST(Exchanges, OfSmallPartialSumsAreOneRound) {
  const Shape small = {4095}, large = {4096};
  EXPECT_TRUE(steps_of(exchange(small, partial_sums(replicated(small, 2)), replicated(small, 2)))
                  .moves.empty());
  EXPECT_EQ(
      steps_of(exchange(large, partial_sums(replicated(large, 2)), replicated(large, 2))).combined,
      (std::vector<Box>{{{0, 2048}}, {{2048, 4096}}}));
}

/// Bytes that each device sends, which must be the same for all.
int64_t sent_by_each(const Exchange& e) {
  std::vector<int64_t> sent;
  const std::vector<std::vector<int64_t>> bytes = bytes_sent(e);
  for (size_t d = 0; d < bytes.size(); ++d) {
    EXPECT_EQ(bytes[d][d], 0);
    sent.push_back(std::accumulate(bytes[d].begin(), bytes[d].end(), int64_t{0}));
  }
  EXPECT_EQ(std::count(sent.begin(), sent.end(), sent.front()), std::ssize(sent));
  return sent.front();
}

TEST(Exchanges, SendWhatRingsSend) {
  for (int n : {2, 3, 4, 8}) {
    SCOPED_TRACE(n);
    const Shape shape = {n * 64, n * 16};
    const int64_t bytes = TensorType{DType::f32, shape}.bytes();
    const Sharding all = replicated(shape, n);
    const Sharding rows = cut_along(shape, 0, even_bounds(shape[0], n));
    const Sharding columns = cut_along(shape, 1, even_bounds(shape[1], n));
    EXPECT_EQ(sent_by_each(exchange(shape, rows, all)), (n - 1) * bytes / n);
    EXPECT_EQ(sent_by_each(exchange(shape, partial_sums(all), rows)), (n - 1) * bytes / n);
    EXPECT_EQ(sent_by_each(exchange(shape, partial_sums(all), all)), 2 * (n - 1) * bytes / n);
    EXPECT_EQ(sent_by_each(exchange(shape, rows, columns)), (n - 1) * bytes / (n * n));
    EXPECT_EQ(sent_by_each(exchange(shape, all, rows)), 0);
  }
}

TEST(Exchanges, SendHalosToNeighbours) {
  const Shape shape = {2, 8, 5};
  const Sharding rows = cut_along(shape, 1, {0, 4, 6, 8});
  Sharding wider = rows;
  wider.boxes[0][1].end = 5, wider.boxes[1][1] = {3, 7}, wider.boxes[2][1].begin = 5;
  const int64_t row = 2 * 5 * 4;
  EXPECT_EQ(bytes_sent(exchange(shape, rows, wider)),
            (std::vector<std::vector<int64_t>>{{0, row, 0}, {row, 0, row}, {0, row, 0}}));
}

} // namespace
} // namespace netc::test
