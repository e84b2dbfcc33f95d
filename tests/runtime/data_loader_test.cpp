#include "runtime/data/loader.h"
#include "tests/runtime/data_support.h"
#include "tests/support/test_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

namespace netc {
namespace {

using namespace netc::test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Image i of a split: 1x1 grey of value i + 1, label i mod 3; some are damaged, some slow.
class FakeDataset final : public Dataset {
public:
  FakeDataset(int64_t train, int64_t validation, std::set<int64_t> damaged = {})
      : Dataset({.channels = 1, .height = 1, .width = 1}), train_(train), validation_(validation),
        damaged_(std::move(damaged)) {
    class_names_ = {"a", "b", "c"};
  }
  int64_t size(Split split) const override { return split == Split::train ? train_ : validation_; }
  int32_t label(Split, int64_t index) const override { return static_cast<int32_t>(index % 3); }
  std::string name(Split, int64_t index) const override { return fmt::format("{}.png", index); }
  bool load(Split, int64_t index, uint8_t* out, std::string* why) const override {
    if (throws_at == index)
      throw RuntimeError("disk on fire");
    if (slow)
      std::this_thread::sleep_for(std::chrono::microseconds(index * 7919 % 500));
    *out = static_cast<uint8_t>(index + 1);
    if (!damaged_.contains(index))
      return true;
    *why = "broken";
    return false;
  }

  bool slow = false;
  int64_t throws_at = -1;

private:
  int64_t train_;
  int64_t validation_;
  std::set<int64_t> damaged_;
};

/// The next `count` batches, as one comparable value each.
std::vector<std::string> take(Loader& loader, int count) {
  std::vector<std::string> batches;
  for (int i = 0; i < count; ++i) {
    const Batch* batch = loader.next();
    if (!batch)
      break;
    batches.push_back(fmt::format("step {}", batch->step));
    for (size_t k = 0; k < batch->labels.size(); ++k)
      batches.back() += fmt::format(" {}:{}:{}:{}", batch->epochs[k], batch->sample_ids[k],
                                    batch->labels[k], batch->images[k]);
  }
  return batches;
}

TEST(EpochOrder, IsAPermutationOfItsArguments) {
  for (int64_t count : {0, 1, 2, 3, 1000}) {
    std::vector<int32_t> order = epoch_order(5, 2, count);
    EXPECT_EQ(order, epoch_order(5, 2, count));
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < count; ++i)
      ASSERT_EQ(order[i], i);
    EXPECT_EQ(static_cast<int64_t>(order.size()), count);
  }
  EXPECT_NE(epoch_order(5, 2, 1000), epoch_order(5, 3, 1000));
  EXPECT_NE(epoch_order(5, 2, 1000), epoch_order(6, 2, 1000));
  EXPECT_NE(epoch_order(5, 2, 1000), epoch_order(5 + (uint64_t{1} << 32), 2, 1000));
}

// All 24 orders of 4 come up about equally often.
TEST(EpochOrder, IsUniform) {
  std::map<std::vector<int32_t>, int> times;
  for (int epoch = 0; epoch < 24000; ++epoch)
    ++times[epoch_order(9, epoch, 4)];
  EXPECT_EQ(times.size(), 24u);
  for (const auto& [order, count] : times)
    EXPECT_NEAR(count, 1000, 160); // Five standard deviations.
}

TEST(Loader, TrainingStreamIsTheEpochsInTurn) {
  const FakeDataset data(10, 0);
  Loader loader(data, {.batch = 4, .seed = 3, .workers = 2, .warn = {}});
  EXPECT_EQ(loader.steps_per_epoch(), 3);
  std::vector<int32_t> ids, epochs;
  for (int step = 0; step < 5; ++step) {
    const Batch* batch = loader.next();
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->step, step);
    EXPECT_EQ(batch->valid, 4);
    for (int i = 0; i < 4; ++i) {
      ids.push_back(batch->sample_ids[i]);
      epochs.push_back(batch->epochs[i]);
      EXPECT_EQ(batch->labels[i], ids.back() % 3);
      EXPECT_EQ(batch->images[i], ids.back() + 1);
    }
  }
  std::vector<int32_t> expected = epoch_order(3, 0, 10);
  const std::vector<int32_t> second = epoch_order(3, 1, 10);
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(ids, expected);
  EXPECT_EQ(epochs[9], 0);
  EXPECT_EQ(epochs[10], 1);
}

TEST(Loader, WorkersDoNotShow) {
  FakeDataset data(37, 23, {5, 20});
  data.slow = true;
  for (Split split : {Split::train, Split::validation})
    for (int64_t batch : {1, 8, 40, 100}) {
      Loader one(data, {.split = split, .batch = batch, .workers = 1, .warn = {}});
      const std::vector<std::string> expected = take(one, 6);
      for (int workers : {2, 3, 7}) {
        Loader more(data,
                    {.split = split, .batch = batch, .workers = workers, .depth = 2, .warn = {}});
        EXPECT_EQ(take(more, 6), expected) << batch << " " << workers;
      }
    }
}

TEST(Loader, ResumesAtAnyStep) {
  const FakeDataset data(11, 9);
  Loader whole(data, {.batch = 4, .workers = 2, .warn = {}});
  const std::vector<std::string> all = take(whole, 12);
  for (int first : {1, 2, 3, 7}) {
    Loader rest(data, {.batch = 4, .first_step = first, .workers = 2, .warn = {}});
    EXPECT_EQ(take(rest, 12 - first), std::vector<std::string>(all.begin() + first, all.end()));
  }
  Loader late(data, {.batch = 4, .first_step = 1'000'000, .workers = 1, .warn = {}});
  EXPECT_EQ(late.next()->epochs[0], 4'000'000 / 11);
  Loader validation(
      data, {.split = Split::validation, .batch = 4, .first_step = 2, .workers = 1, .warn = {}});
  EXPECT_EQ(take(validation, 9).size(), 1u);
}

TEST(Loader, BatchLargerThanTheDataset) {
  const FakeDataset data(3, 2);
  Loader loader(data, {.batch = 8, .workers = 3, .warn = {}});
  const Batch* batch = loader.next();
  EXPECT_THAT(batch->epochs, ElementsAre(0, 0, 0, 1, 1, 1, 2, 2));
  Loader validation(data, {.split = Split::validation, .batch = 8, .workers = 3, .warn = {}});
  batch = validation.next();
  EXPECT_THAT(batch->labels, ElementsAre(0, 1, -1, -1, -1, -1, -1, -1));
  EXPECT_THAT(batch->sample_ids, ElementsAre(0, 1, -1, -1, -1, -1, -1, -1));
  EXPECT_THAT(batch->images, ElementsAre(1, 2, 0, 0, 0, 0, 0, 0));
  EXPECT_EQ(batch->valid, 2);
  EXPECT_EQ(validation.next(), nullptr);
  EXPECT_EQ(validation.next(), nullptr);
}

TEST(Loader, ValidationEndsOnAFullBatch) {
  const FakeDataset data(3, 8);
  Loader loader(data, {.split = Split::validation, .batch = 4, .workers = 2, .warn = {}});
  EXPECT_EQ(loader.steps_per_epoch(), 2);
  EXPECT_EQ(take(loader, 5).size(), 2u);
  const FakeDataset none(3, 0);
  Loader empty(none, {.split = Split::validation, .batch = 4, .workers = 2, .warn = {}});
  EXPECT_EQ(empty.next(), nullptr);
}

TEST(Loader, DamagedImagesAreSkippedAndNamedOnce) {
  const FakeDataset data(10, 10, {4, 6});
  std::vector<std::string> warnings;
  auto warn = [&](std::string text) { warnings.push_back(std::move(text)); };
  Loader validation(data, {.split = Split::validation, .batch = 8, .workers = 3, .warn = warn});
  const Batch* batch = validation.next();
  EXPECT_THAT(batch->labels, ElementsAre(0, 1, 2, 0, -1, 2, -1, 1));
  EXPECT_THAT(batch->images, ElementsAre(1, 2, 3, 4, 0, 6, 0, 8));
  EXPECT_EQ(batch->sample_ids[4], 4);
  EXPECT_EQ(batch->valid, 6);
  EXPECT_THAT(warnings,
              ElementsAre("skipped image `4.png`: broken", "skipped image `6.png`: broken"));
  Loader train(data, {.batch = 4, .workers = 3, .warn = warn});
  take(train, 10); // Four epochs.
  EXPECT_EQ(warnings.size(), 4u);
  EXPECT_EQ(train.damaged_images(), 2);
}

TEST(Loader, GivesUpWhenNothingCanBeRead) {
  const FakeDataset one_good(6, 0, {0, 1, 2, 3, 4});
  Loader goes_on(one_good, {.batch = 4, .workers = 2, .warn = {}});
  EXPECT_EQ(take(goes_on, 60).size(), 60u);
  const FakeDataset none_good(6, 0, {0, 1, 2, 3, 4, 5});
  Loader loader(none_good, {.batch = 4, .workers = 2, .warn = {}});
  loader.next();
  loader.next();
  try {
    loader.next();
    FAIL() << "no error";
  } catch (const RuntimeError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("none of the last 12 images"), HasSubstr("broken")));
  }
}

TEST(Loader, RethrowsWhatAWorkerThrew) {
  FakeDataset data(100, 0);
  data.throws_at = 50;
  Loader loader(data, {.batch = 10, .workers = 3, .warn = {}});
  EXPECT_THROW(take(loader, 20), RuntimeError);
  EXPECT_THROW(loader.next(), RuntimeError);
}

TEST(Loader, EndsAtAnyTime) {
  FakeDataset data(100, 100);
  data.slow = true;
  for (int taken = 0; taken < 12; ++taken) {
    Loader loader(data, {.split = taken % 2 ? Split::train : Split::validation,
                         .batch = 7,
                         .workers = 1 + taken % 4,
                         .warn = {}});
    take(loader, taken);
  }
}

TEST(Loader, MeasuresWaiting) {
  FakeDataset data(100, 0);
  data.slow = true;
  Loader loader(data, {.batch = 50, .workers = 1, .warn = {}});
  EXPECT_EQ(loader.waited_seconds(), 0);
  loader.next();
  EXPECT_GT(loader.waited_seconds(), 0.002);
}

// Damaged photographs in the middle of a real folder.
TEST(LoaderData, OddImages) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  ScratchFolder folder;
  std::filesystem::create_directories(folder / "class");
  for (const char* part : {"pillow/Tests/images", "caffe/examples/images"})
    for (const auto& entry :
         std::filesystem::directory_iterator(*test_data_folder() / "odd-images" / part))
      if (entry.path().extension() == ".jpg")
        std::filesystem::create_symlink(entry.path(),
                                        folder / ("class/" + entry.path().filename().string()));
  const auto data =
      open_dataset("imagefolder:" + folder.str(), {.channels = 3, .height = 64, .width = 64});
  EXPECT_EQ(data->size(Split::train) + data->size(Split::validation), 58);
  int warnings = 0;
  auto warn = [&](const std::string&) { ++warnings; };
  int64_t good = 0;
  for (Split split : {Split::train, Split::validation}) {
    Loader loader(*data, {.split = split, .batch = data->size(split), .workers = 3, .warn = warn});
    good += loader.next()->valid;
  }
  EXPECT_EQ(good, 55);
  EXPECT_EQ(warnings, 3);
}

} // namespace
} // namespace netc
