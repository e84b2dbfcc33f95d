#include "runtime/train/evaluate.h"

#include "ir/support/error.h"
#include "runtime/data/stats.h"
#include "runtime/train/feeds.h"

#include <algorithm>
#include <deque>

namespace netc {

namespace {

const std::string eval_program = "eval";

double first(Session& session, const std::string& output) {
  return session.output_of<float>(eval_program, output)[0];
}

} // namespace

Evaluation evaluate(Session& session, const Dataset& dataset, const EvaluateOptions& options) {
  if (session.output(eval_program, "loss").empty())
    user_error(fmt::format("the network `{}` has no loss to evaluate", session.plan().network));
  Loader loader(dataset, {.split = options.split,
                          .batch = session.plan().batch,
                          .seed = 1,
                          .first_step = 0,
                          .workers = options.workers,
                          .depth = 4,
                          .warn = options.warn});
  Evaluation sum;
  bool has_top5 = !session.output(eval_program, "top5").empty();
  double top5 = 0;
  int64_t total = dataset.size(options.split), batch = session.plan().batch;
  int64_t batches = (total + batch - 1) / batch;
  int64_t done = 0;
  std::deque<int64_t> valid; // images of the batches the device is at
  auto finish = [&] {
    session.finish(eval_program);
    sum.images += valid.front();
    sum.loss += first(session, "loss") * static_cast<double>(valid.front());
    sum.top1 += first(session, "top1");
    top5 += has_top5 ? first(session, "top5") : 0;
    valid.pop_front();
    if (options.progress)
      options.progress(++done, batches);
  };
  for (int64_t i = 0; i < batches; ++i) {
    if (options.interrupted && options.interrupted()) {
      sum.interrupted = true;
      break;
    }
    const Batch* images = loader.next();
    NETC_CHECK(images, "the split ends after {} of {} batches", i, batches);
    fill_feeds(session, eval_program, *images, {});
    session.start(eval_program);
    valid.push_back(images->valid);
    if (session.full(eval_program))
      finish();
  }
  while (!valid.empty())
    finish();
  double count = static_cast<double>(std::max<int64_t>(sum.images, 1));
  sum.loss /= count;
  sum.top1 /= count;
  if (has_top5)
    sum.top5 = top5 / count;
  return sum;
}

std::vector<float> predict(Session& session, const std::vector<std::vector<uint8_t>>& images) {
  int64_t batch = session.plan().batch;
  size_t bytes = static_cast<size_t>(stored_format(session.plan().recipe.input).bytes());
  size_t outputs = session.output_of<float>(eval_program, "probabilities").size();
  if (outputs == 0)
    user_error(fmt::format("the network `{}` has no classes to predict", session.plan().network));
  size_t classes = outputs / static_cast<size_t>(batch);
  std::vector<float> result;
  for (size_t begin = 0; begin < images.size(); begin += static_cast<size_t>(batch)) {
    size_t count = std::min(images.size() - begin, static_cast<size_t>(batch));
    Batch filled;
    filled.images.resize(bytes * static_cast<size_t>(batch));
    filled.labels.assign(static_cast<size_t>(batch), -1);
    filled.sample_ids.assign(static_cast<size_t>(batch), 0);
    filled.epochs.assign(static_cast<size_t>(batch), 0);
    for (size_t i = 0; i < count; ++i) {
      NETC_CHECK(images[begin + i].size() == bytes, "an image has {} bytes, expected {}",
                 images[begin + i].size(), bytes);
      std::copy(images[begin + i].begin(), images[begin + i].end(),
                filled.images.begin() + static_cast<std::ptrdiff_t>(bytes * i));
    }
    fill_feeds(session, eval_program, filled, {});
    session.run(eval_program);
    std::span<const float> probabilities = session.output_of<float>(eval_program, "probabilities");
    result.insert(result.end(), probabilities.begin(),
                  probabilities.begin() + static_cast<std::ptrdiff_t>(count * classes));
  }
  return result;
}

void set_input_mean(Session& session, const Dataset& dataset) {
  const InputSpec& input = session.plan().recipe.input;
  if (input.mean == Mean::none)
    return;
  std::vector<double> mean =
      input.mean == Mean::channel ? channel_means(dataset) : input.mean_values;
  session.write_state("input.mean", [&](std::span<float> state) {
    NETC_CHECK(mean.size() == state.size(), "{} channel means for {} channels", mean.size(),
               state.size());
    std::copy(mean.begin(), mean.end(), state.begin());
  });
}

} // namespace netc
