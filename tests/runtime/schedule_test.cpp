#include "runtime/train/schedule.h"

#include "ir/support/error.h"
#include "tests/runtime/temporary_folder.h"

#include <cmath>
#include <random>

namespace netc {
namespace {

using Outcome = LearningRate::Outcome;

ScheduleSpec plateau(int patience, int drops) {
  ScheduleSpec spec;
  spec.kind = ScheduleSpec::Kind::plateau;
  spec.patience = patience;
  spec.drops = drops;
  return spec;
}

TEST(Schedule, ConstantStays) {
  LearningRate rate(0.02, {});
  EXPECT_EQ(rate.observe(0.9), Outcome::kept);
  EXPECT_EQ(rate.observe(0.9), Outcome::kept);
  EXPECT_EQ(rate.rate(0), 0.02);
  EXPECT_EQ(rate.rate(1e6), 0.02);
}

TEST(Schedule, StepsDropAtTheStartOfTheEpoch) {
  ScheduleSpec spec;
  spec.kind = ScheduleSpec::Kind::steps;
  spec.factor = 0.5;
  spec.at = {1, 2.5};
  LearningRate rate(1, spec);
  EXPECT_EQ(rate.rate(0), 1);
  EXPECT_EQ(rate.rate(std::nextafter(1.0, 0.0)), 1);
  EXPECT_EQ(rate.rate(1), 0.5);
  EXPECT_EQ(rate.rate(2.4), 0.5);
  EXPECT_EQ(rate.rate(2.5), 0.25);
  EXPECT_EQ(rate.rate(100), 0.25);
}

TEST(Schedule, PlateauDropsAfterPatienceEpochs) {
  LearningRate rate(0.01, plateau(2, 1));
  EXPECT_EQ(rate.observe(0.9), Outcome::kept);        // The first is the best so far.
  EXPECT_EQ(rate.observe(0.8), Outcome::kept);        // Improves.
  EXPECT_EQ(rate.observe(0.8), Outcome::kept);        // Waits 1.
  EXPECT_EQ(rate.observe(0.79995), Outcome::dropped); // Too little: waits 2.
  EXPECT_EQ(rate.rate(5), 0.01 * 0.1);
  EXPECT_EQ(rate.observe(0.85), Outcome::kept); // The best at the new rate.
  EXPECT_EQ(rate.observe(0.82), Outcome::kept); // Improves on that, though not on 0.8.
  EXPECT_EQ(rate.observe(0.83), Outcome::kept);
  EXPECT_FALSE(rate.finished());
  EXPECT_EQ(rate.observe(0.83), Outcome::finished);
  EXPECT_TRUE(rate.finished());
  EXPECT_EQ(rate.observe(0.1), Outcome::finished);
  EXPECT_EQ(rate.rate(9), 0.01 * 0.1);
}

TEST(Schedule, PlateauAsInThePaper) {
  LearningRate rate(0.01, plateau(1, 3));
  std::vector<double> rates;
  for (double error : {0.6, 0.6, 0.45, 0.45, 0.42, 0.42, 0.41, 0.41}) {
    rates.push_back(rate.rate(0));
    rate.observe(error);
  }
  EXPECT_TRUE(rate.finished());
  EXPECT_DOUBLE_EQ(rates[1], 1e-2);
  EXPECT_DOUBLE_EQ(rates[2], 1e-3);
  EXPECT_DOUBLE_EQ(rates[4], 1e-4);
  EXPECT_DOUBLE_EQ(rates[6], 1e-5);
}

TEST(Schedule, NanNeverImproves) {
  LearningRate rate(1, plateau(2, 0));
  EXPECT_EQ(rate.observe(NAN), Outcome::kept);
  EXPECT_EQ(rate.observe(NAN), Outcome::finished);
}

TEST(Schedule, StateTexts) {
  EXPECT_EQ(LearningRate(1, {}).state(), "constant");
  LearningRate rate(1, plateau(3, 3));
  EXPECT_EQ(rate.state(), "plateau drops=0 waited=0 best=inf finished=0");
  rate.observe(0.41);
  rate.observe(0.5);
  EXPECT_EQ(rate.state(), "plateau drops=0 waited=1 best=0.41 finished=0");
}

TEST(Schedule, RestoredAnywhereItContinuesTheSame) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    ScheduleSpec spec = plateau(1 + static_cast<int>(random() % 4), static_cast<int>(random() % 4));
    LearningRate straight(0.01, spec), restored(0.01, spec);
    for (int epoch = 0; epoch < 40; ++epoch) {
      double error = std::uniform_real_distribution<>(0, 1)(random) / (1 + epoch);
      LearningRate fresh(0.01, spec);
      fresh.restore(restored.state());
      restored = fresh;
      EXPECT_EQ(straight.observe(error), restored.observe(error));
      EXPECT_EQ(straight.rate(epoch), restored.rate(epoch));
      EXPECT_EQ(straight.state(), restored.state());
    }
  }
}

TEST(Schedule, RefusesForeignStates) {
  LearningRate rate(1, plateau(3, 3));
  for (const char* bad : {"", "constant", "plateau", "plateau drops=x waited=0 best=inf finished=0",
                          "plateau drops=4 waited=0 best=inf finished=0",
                          "plateau drops=0 waited=0 best=inf finished=2",
                          "plateau drops=-1 waited=0 best=inf finished=0",
                          "plateau drops=0 waited=0 best=0.410 finished=0",
                          "plateau drops=0 waited=0 best=inf finished=0 "})
    EXPECT_THROW(rate.restore(bad), UserError) << bad;
  EXPECT_THROW(LearningRate(1, {}).restore("steps"), UserError);
  std::string text = error_of<UserError>([&] { rate.restore("steps"); });
  EXPECT_NE(text.find("`steps` does not belong to a `plateau` schedule"), text.npos) << text;
}

} // namespace
} // namespace netc
