// LeNet on MNIST: Caffe's weights give Caffe's result, and training reaches what it should.

#include "runtime/train/evaluate.h"
#include "runtime/train/trainer.h"
#include "tests/driver/driver_support.h"
#include "tests/support/test_data.h"

#include <nlohmann/json.hpp>

#include <cstring>

namespace netc::test {
namespace {

/// Copies Caffe's blobs (weight OIHW or out x in, then bias) into the state of the same layer.
void load_caffe_weights(Session& session, const fs::path& folder) {
  std::string bytes = read_text(folder / "lenet_iter_10000.f32.bin");
  auto json = nlohmann::json::parse(read_text(folder / "lenet_iter_10000.json"));
  for (const auto& layer : json)
    for (size_t i = 0; i < 2; ++i) {
      std::string name = layer.at("name").get<std::string>() + (i == 0 ? ".weight" : ".bias");
      size_t offset = layer.at("blobs")[i].at("offset").get<size_t>();
      session.write_state(name, [&](std::span<float> state) {
        ASSERT_LE(offset + state.size_bytes(), bytes.size()) << name;
        std::memcpy(state.data(), bytes.data() + offset, state.size_bytes());
      });
    }
}

TEST(LenetData, CaffesWeightsGiveCaffesAccuracy) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  TemporaryFolder folder;
  NetworkSource lenet = bundled("lenet");
  std::unique_ptr<Dataset> mnist = open_dataset("mnist:" + (*test_data_folder() / "mnist").string(),
                                                stored_format(lenet.network.recipe.input));
  for (bool exact : {false, true}) {
    CompileOptions options = test_options(exact);
    options.train = false;
    Compiled compiled = compile_into(lenet, options, folder / (exact ? "exact" : "fast"));
    Session session(compiled.plan, compiled.folder);
    load_caffe_weights(session, *test_data_folder() / "caffe-models/lenet");
    Evaluation e = evaluate(session, *mnist, {});
    EXPECT_EQ(e.images, 10000);
    EXPECT_EQ(std::lround(e.top1 * 10000), 9905);
    EXPECT_NEAR(e.loss, 0.02918, 1e-5);
  }
}

TEST(LenetData, OneEpochReaches97Percent) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  TemporaryFolder folder;
  Outcome outcome =
      run_netc({"train", "lenet", "--data", "mnist:" + (*test_data_folder() / "mnist").string(),
                "--epochs", "1", "--cache", kernel_cache().string(), "--json"},
               folder.path());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  auto json = nlohmann::json::parse(outcome.out);
  fmt::print("after one epoch: top-1 {}\n", json.at("val_top1").get<double>());
  EXPECT_GT(json.at("val_top1").get<double>(), 0.975);
}

} // namespace
} // namespace netc::test
