// Training and evaluation on a device that works while the host prepares the next batch come to
// what they come to on one that does not.

#include "runtime/train/trainer.h"
#include "tests/driver/driver_support.h"
#include "tests/support/fake_device.h"

namespace netc::test {
namespace {

class Overlap : public testing::Test {
protected:
  void SetUp() override {
    compiled_ = compile_into(source_of(tiny_network()), test_options(false, 1), folder_ / "plan");
    dataset_ = open_dataset("shapes", stored_format(compiled_.plan.recipe.input));
  }
  std::unique_ptr<Device> fake() {
    auto device = std::make_unique<FakeDevice>();
    fake_ = device.get();
    return device;
  }
  /// The files of a run but for timings and the picture, which shows none.
  std::map<std::string, std::string> trained(const std::string& name, Session& session) {
    RunDirectory run = RunDirectory::create_at(folder_ / name);
    // Epochs of 312.5 steps: rows, validations, checkpoints and drops of the rate fall everywhere.
    TrainOptions options{.steps = 700, .checkpoint_every = 97, .quiet = true};
    train(session, *dataset_, run, options);
    std::map<std::string, std::string> files = files_below(folder_ / name);
    std::string metrics;
    for (MetricsRow row : read_metrics(folder_ / name / "metrics.csv")) {
      row.images_per_second.reset();
      metrics += metrics_line(row) + "\n";
    }
    files["metrics.csv"] = metrics;
    return files;
  }

  TemporaryFolder folder_;
  Compiled compiled_;
  std::unique_ptr<Dataset> dataset_;
  FakeDevice* fake_ = nullptr;
};

TEST_F(Overlap, TrainingGivesTheSameRun) {
  Session direct(compiled_.plan, compiled_.folder, DeviceSpec{.threads = 1});
  Session ahead(compiled_.plan, compiled_.folder, fake());
  std::map<std::string, std::string> a = trained("direct", direct), b = trained("ahead", ahead);
  EXPECT_EQ(fake_->most_ahead(), 2);
  ASSERT_GE(a.size(), 4u);
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, bytes] : a)
    EXPECT_TRUE(b[name] == bytes) << name;
}

TEST_F(Overlap, EvaluationGivesTheSameFigures) {
  Session direct(compiled_.plan, compiled_.folder, DeviceSpec{.threads = 1});
  Session ahead(compiled_.plan, compiled_.folder, fake());
  for (Session* session : {&direct, &ahead})
    session->initialize(3);
  Evaluation a = evaluate(direct, *dataset_, {}), b = evaluate(ahead, *dataset_, {});
  EXPECT_EQ(fake_->most_ahead(), 2);
  EXPECT_EQ(a.images, b.images);
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.top1, b.top1);
  EXPECT_EQ(a.top5, b.top5);
}

} // namespace
} // namespace netc::test
