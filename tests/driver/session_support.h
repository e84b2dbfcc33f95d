#pragma once
// Training steps on random batches, and what they come to.

#include "ir/support/philox.h"
#include "runtime/train/feeds.h"
#include "tests/driver/driver_support.h"

namespace netc::test {

/// Random images with labels in range.
inline Batch random_batch(const Plan& plan, unsigned step) {
  const InputSpec& input = plan.recipe.input;
  Batch batch;
  batch.images.resize(
      static_cast<size_t>(plan.batch * input.channels * input.stored_height * input.stored_width));
  for (size_t i = 0; i < batch.images.size(); ++i)
    batch.images[i] = static_cast<uint8_t>(
        philox4x32_10(step, 7, static_cast<uint32_t>(i / 4), 0, 0, 0).word[i % 4]);
  for (int32_t i = 0; i < plan.batch; ++i) {
    batch.labels.push_back(i % static_cast<int32_t>(plan.recipe.classes));
    batch.sample_ids.push_back(i);
    batch.epochs.push_back(0);
  }
  batch.valid = plan.batch;
  return batch;
}

/// A plan that two devices run, both all of it.
inline Plan doubled(Plan plan) {
  plan.devices = 2;
  for (Program program : std::vector<Program>(plan.programs)) {
    program.device = 1;
    plan.programs.push_back(std::move(program));
  }
  return plan;
}

inline void fill_step(Session& session, int step) {
  fill_feeds(session, "train", random_batch(session.plan(), static_cast<unsigned>(step)),
             {.seed = 1, .step = step, .rate = 0.01});
}

/// The loss of the training step that was finished last.
inline float loss_of(const Session& session) {
  return session.output_of<float>("train", "loss")[0];
}

/// Trains step by step; returns the losses.
inline std::vector<float> train_steps(Session& session, int steps) {
  std::vector<float> losses;
  for (int i = 0; i < steps; ++i) {
    fill_step(session, i);
    session.run("train");
    losses.push_back(loss_of(session));
  }
  return losses;
}

/// The same steps, each prepared and started while those before may still run.
inline std::vector<float> train_ahead(Session& session, int steps) {
  std::vector<float> losses;
  auto finish = [&] {
    session.finish("train");
    losses.push_back(loss_of(session));
  };
  for (int i = 0; i < steps; ++i) {
    while (session.full("train"))
      finish();
    fill_step(session, i);
    session.start("train");
  }
  while (session.running("train") > 0)
    finish();
  return losses;
}

/// The bytes of all state.
inline std::string state_bytes(Session& session) {
  std::string bytes;
  for (const StateInit& s : session.plan().state) {
    StateValues state = session.state(s.name);
    auto values = std::as_bytes(state.values);
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size());
  }
  return bytes;
}

} // namespace netc::test
