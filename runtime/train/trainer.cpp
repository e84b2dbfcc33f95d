#include "runtime/train/trainer.h"

#include "ir/support/error.h"
#include "ir/support/median.h"
#include "runtime/train/curves.h"
#include "runtime/train/feeds.h"
#include "runtime/train/numbers.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <set>
#include <sstream>

namespace netc {

namespace {

using Clock = std::chrono::steady_clock;

const std::string program = "train";

// Further strings of a checkpoint, so that a resumed run writes the same rows of metrics.
constexpr const char* interval_key = "interval"; ///< Sums since the last row.
constexpr const char* owes_validation_key = "owes_validation";
constexpr const char* data_key = "data"; ///< Which images: a run goes on with those it began with.

/// Epochs of fewer steps share a checkpoint: writing AlexNet's takes as long as many steps.
constexpr int64_t least_steps_saved = 100;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Lines as one text. Names of folders need not be UTF-8, the text of a checkpoint must be: bytes
/// that are not become U+FFFD.
std::string join_lines(const std::vector<std::string>& lines) {
  using nlohmann::json;
  std::string text;
  for (const std::string& line : lines)
    text += (text.empty() ? "" : "\n") + line;
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace))
      .get<std::string>();
}

std::string validation_line(double epoch, const Evaluation& e) {
  std::string top5 = e.top5 ? fmt::format(", top-5 {:.2f} %", 100 * *e.top5) : "";
  return fmt::format("epoch {:.4g}: validation loss {:.4f}, top-1 {:.2f} %{} ({} images)", epoch,
                     e.loss, 100 * e.top1, top5, e.images);
}

class Trainer {
public:
  Trainer(Session& session, const Dataset& dataset, const RunDirectory& run,
          const TrainOptions& options)
      : session_(session), dataset_(dataset), run_(run), options_(options),
        batch_(session.plan().batch), count_(dataset.size(Split::train)),
        rate_(recipe().train.optimizer.rate, recipe().train.schedule),
        progress_(ProgressOptions::for_stderr(options.quiet)) {
    double epochs = options.epochs > 0 ? options.epochs : recipe().train.epochs;
    last_step_ =
        options.steps > 0
            ? options.steps
            : static_cast<int64_t>(std::ceil(
                  epochs * static_cast<double>(count_) / static_cast<double>(batch_) - 1e-9));
    int64_t per_epoch = std::max<int64_t>(1, count_ / batch_);
    log_every_ = options.log_every > 0 ? options.log_every : std::max<int64_t>(1, per_epoch / 50);
  }

  TrainResult run() {
    start_or_resume();
    MetricsWriter metrics = MetricsWriter::resume(run_.file("metrics.csv"), step_);
    metrics_ = &metrics;
    loop();
    metrics_ = nullptr;
    write_curves(run_.file("metrics.csv"), run_.file("curves.svg"), recipe().name);
    progress_.finish();
    result_.steps = step_;
    result_.damaged_images = static_cast<int64_t>(warned_.size());
    const double step_seconds = step_seconds_.empty() ? 0 : median(step_seconds_);
    result_.images_per_second = step_seconds > 0 ? static_cast<double>(batch_) / step_seconds : 0;
    return result_;
  }

private:
  const Recipe& recipe() const { return session_.plan().recipe; }
  double epoch_of(int64_t step) const {
    return static_cast<double>(step) * static_cast<double>(batch_) / static_cast<double>(count_);
  }
  /// The last step that ended an epoch before `step`: which checkpoints are written is a function
  /// of the step alone.
  int64_t epoch_start(int64_t step) const {
    return (((step - 1) * batch_ / count_) * count_ + batch_ - 1) / batch_;
  }
  bool checkpoint_due(int64_t step) const {
    if (options_.checkpoint_every > 0)
      return step % options_.checkpoint_every == 0;
    return ends_epoch(step) && step / least_steps_saved > epoch_start(step) / least_steps_saved;
  }
  bool ends_epoch(int64_t step) const {
    return step * batch_ / count_ > (step - 1) * batch_ / count_;
  }

  int64_t next_step() const { return step_ + static_cast<int64_t>(running_.size()); }

  std::string data_size() const {
    return fmt::format("{} training and {} validation images in {} classes", count_,
                       dataset_.size(Split::validation), dataset_.classes());
  }
  void start_or_resume();
  void restore(const TrainingState& state);
  void loop();
  bool may_start() const;
  bool decides(int64_t step) const;
  void start_step(Loader& loader);
  void finish_step();
  void after_step(double loss, double rate);
  void log(double rate);
  void validate();
  void checkpoint();
  /// Each damaged image is named once, however often it is met.
  void warn(const std::string& text) {
    if (warned_.insert(text).second)
      progress_.line("warning: " + text);
  }

  Session& session_;
  const Dataset& dataset_;
  const RunDirectory& run_;
  TrainOptions options_;
  int64_t batch_, count_;
  LearningRate rate_;
  Progress progress_;
  InterruptGuard interrupt_;
  MetricsWriter* metrics_ = nullptr;
  int64_t step_ = 0, last_step_ = 0, log_every_ = 1;
  int64_t saved_step_ = -1;
  int64_t extra_step_ = -1; ///< Of the checkpoint an interruption left; it goes with the next one.
  /// A step the device has been given.
  struct Running {
    int64_t valid;  ///< Its images.
    double rate;    ///< Its learning rate.
    double starved; ///< Seconds for which the device had nothing to do but wait for the images.
  };
  std::deque<Running> running_;        ///< Oldest first; step_ does not count them yet.
  Clock::time_point began_;            ///< When the time of the oldest of them began to count.
  bool owes_validation_ = false;       ///< The validation at this step was broken off.
  double loss_sum_ = 0, top1_sum_ = 0; ///< Since the last row of metrics.
  int64_t summed_ = 0, valid_ = 0;
  double interval_seconds_ = 0;
  bool first_ = true;                ///< No step of this process is finished.
  double trained_ = 0, starved_ = 0; ///< Seconds: of steps, of waiting for images in them.
  std::vector<double> step_seconds_;
  std::set<std::string> warned_;
  TrainResult result_;
};

void Trainer::start_or_resume() {
  Diagnostics warnings;
  std::optional<Checkpoint> checkpoint = open_newest_checkpoint(run_.path(), warnings);
  for (const Diagnostic& d : warnings.all())
    warn(d.message);
  if (!checkpoint) {
    session_.initialize(options_.seed);
    set_input_mean(session_, dataset_);
    return;
  }
  load_state(session_, *checkpoint);
  restore(checkpoint->state);
  progress_.line(fmt::format("continues from step {}", step_));
}

void Trainer::restore(const TrainingState& state) {
  step_ = saved_step_ = state.step;
  extra_step_ = checkpoint_due(step_) ? -1 : step_;
  options_.seed = state.seed;
  rate_.restore(state.schedule);
  owes_validation_ = state.more.count(owes_validation_key) > 0;
  if (auto data = state.more.find(data_key);
      data != state.more.end() && data->second != data_size())
    user_error(fmt::format("the run began with {}, the data now has {}", data->second, data_size()),
               "restore the data, or start a new run");
  auto interval = state.more.find(interval_key);
  if (interval == state.more.end())
    return;
  std::istringstream in(interval->second);
  std::string loss, top1;
  in >> loss >> top1 >> summed_ >> valid_;
  if (!in || !parse_double(loss) || !parse_double(top1))
    user_error(fmt::format("the checkpoint of step {} is damaged: `{}` is `{}`", step_,
                           interval_key, interval->second));
  loss_sum_ = *parse_double(loss), top1_sum_ = *parse_double(top1);
}

void Trainer::loop() {
  if (owes_validation_) {
    validate();
    if (!owes_validation_)
      checkpoint(); // a validation is recorded once
  }
  Loader loader(dataset_, {.split = Split::train,
                           .batch = batch_,
                           .seed = options_.seed,
                           .first_step = step_,
                           .workers = options_.workers,
                           .depth = 4,
                           .warn = [this](std::string text) { warn(text); }});
  while (may_start()) {
    start_step(loader);
    while (!running_.empty() && (session_.full(program) || decides(next_step())))
      finish_step();
  }
  while (!running_.empty())
    finish_step();
  result_.signal = interrupt_.signal();
  result_.finished_early = rate_.finished();
  result_.data_wait_fraction = trained_ > 0 ? starved_ / trained_ : 0;
  if (saved_step_ != step_)
    checkpoint();
}

bool Trainer::may_start() const {
  return next_step() < last_step_ && !rate_.finished() && !interrupt_.requested();
}

/// Whether what comes after `step` steps hangs on their results, or needs the state as it then is:
/// the device must not be ahead.
bool Trainer::decides(int64_t step) const {
  return step == last_step_ || ends_epoch(step) || checkpoint_due(step);
}

/// Prepares a step and hands it to the device, which may still be at the one before.
void Trainer::start_step(Loader& loader) {
  if (running_.empty())
    began_ = Clock::now();
  double waited_before = loader.waited_seconds();
  const Batch* batch = loader.next();
  double starved = session_.idle(program) ? loader.waited_seconds() - waited_before : 0;
  double rate = rate_.rate(epoch_of(next_step()));
  fill_feeds(session_, program, *batch, {options_.seed, next_step(), rate});
  session_.start(program);
  running_.push_back({batch->valid, rate, starved});
}

/// Waits for the oldest step and does what follows it.
void Trainer::finish_step() {
  session_.finish(program);
  double loss = session_.output_of<float>(program, "loss")[0];
  if (!std::isfinite(loss))
    user_error(fmt::format("the loss is {} at step {}", loss, step_ + 1),
               "a lower learning rate (`train: optimizer: rate`) or smaller initial weights "
               "(`init:`) usually help; the checkpoints before this step stand");
  Running step = running_.front();
  running_.pop_front();
  double seconds = seconds_since(began_);
  began_ = Clock::now();
  interval_seconds_ += seconds;
  if (!first_) {
    step_seconds_.push_back(seconds);
    trained_ += seconds;
    starved_ += step.starved;
  }
  first_ = false;
  valid_ += step.valid;
  after_step(loss, step.rate);
}

void Trainer::after_step(double loss, double rate) {
  ++step_;
  loss_sum_ += loss;
  std::span<const float> top1 = session_.output_of<float>(program, "top1");
  top1_sum_ += top1.empty() ? 0 : top1[0];
  ++summed_;
  progress_.update({.step = step_,
                    .total_steps = last_step_,
                    .epoch = epoch_of(step_),
                    .epochs = std::floor(epoch_of(last_step_)),
                    .loss = loss,
                    .images = batch_});
  if (step_ % log_every_ == 0 || step_ == last_step_)
    log(rate);
  bool epoch_end = ends_epoch(step_);
  if (epoch_end || (options_.validate_at_end && step_ == last_step_))
    validate();
  if (checkpoint_due(step_))
    checkpoint();
}

void Trainer::log(double rate) {
  MetricsRow row;
  row.step = step_;
  row.epoch = epoch_of(step_);
  row.rate = rate;
  row.train_loss = loss_sum_ / static_cast<double>(summed_);
  row.train_top1 = top1_sum_ / static_cast<double>(std::max<int64_t>(valid_, 1));
  row.images_per_second = static_cast<double>(summed_ * batch_) / std::max(interval_seconds_, 1e-9);
  metrics_->append(row);
  result_.train_loss = row.train_loss;
  loss_sum_ = top1_sum_ = interval_seconds_ = 0;
  summed_ = valid_ = 0;
}

void Trainer::validate() {
  if (dataset_.size(Split::validation) == 0)
    return;
  EvaluateOptions options;
  options.workers = options_.workers;
  options.warn = [this](std::string text) { warn(text); };
  options.progress = [this](int64_t done, int64_t batches) {
    progress_.activity(fmt::format("validating {}/{}", done, batches));
  };
  options.interrupted = [this] { return interrupt_.requested(); };
  Evaluation e = evaluate(session_, dataset_, options);
  owes_validation_ = e.interrupted;
  if (e.interrupted)
    return;
  MetricsRow row;
  row.step = step_;
  row.epoch = epoch_of(step_);
  row.val_loss = e.loss;
  row.val_top1 = e.top1;
  row.val_top5 = e.top5;
  metrics_->append(row);
  progress_.line(validation_line(row.epoch, e));
  if (rate_.observe(1 - e.top1) == LearningRate::Outcome::dropped)
    progress_.line(fmt::format("the validation error has stopped falling: the learning rate drops "
                               "to {:.4g}",
                               rate_.rate(row.epoch)));
  result_.validation = e;
  write_curves(run_.file("metrics.csv"), run_.file("curves.svg"), recipe().name);
}

void Trainer::checkpoint() {
  progress_.activity("writing a checkpoint");
  TrainingState state;
  state.network = session_.plan().network;
  state.network_hash = session_.plan().network_hash;
  state.step = step_;
  state.seed = options_.seed;
  state.schedule = rate_.state();
  state.more["classes"] = join_lines(dataset_.class_names());
  state.more[data_key] = data_size();
  if (owes_validation_)
    state.more[owes_validation_key] = "1";
  if (summed_ > 0)
    state.more[interval_key] =
        fmt::format("{} {} {} {}", number_text(loss_sum_), number_text(top1_sum_), summed_, valid_);
  std::vector<StateValues> values;
  std::vector<NamedTensor> tensors;
  for (const StateInit& s : session_.plan().state) {
    values.push_back(session_.state(s.name));
    tensors.push_back({s.name, s.type, values.back().values.data()});
  }
  save_checkpoint(run_.path(), state, tensors);
  if (extra_step_ >= 0 && extra_step_ != step_) {
    std::filesystem::remove(run_.file(checkpoint_name(extra_step_)));
    extra_step_ = -1;
  }
  prune_checkpoints(run_.path());
  saved_step_ = step_;
}

} // namespace

TrainResult train(Session& session, const Dataset& dataset, const RunDirectory& run,
                  const TrainOptions& options) {
  return Trainer(session, dataset, run, options).run();
}

void load_state(Session& session, const Checkpoint& checkpoint) {
  for (const StateInit& state : session.plan().state) {
    const auto* entry = checkpoint.file.find(state.name);
    if (!entry && state.name.ends_with(".momentum"))
      continue;
    session.write_state(state.name, [&](std::span<float> values) {
      checkpoint.file.read(state.name, state.type, values.data());
    });
  }
}

} // namespace netc
